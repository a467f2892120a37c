"""What support and customers may do beside the process."""

from domain.placing import Channel
from tests.domain.building import Story, address, cart_line, open_story, story
from tests.domain.identities import check_all


def move_house(told: Story) -> None:
    told.send("change_address", by="customer", ship_to=address().model_dump())


def test_a_new_address_is_told_to_every_seller_who_has_not_shipped_yet() -> None:
    told = open_story(cart_line("L1"), cart_line("L2", sku="TEE", seller="beta"))
    told.pack("acme-1")
    move_house(told)
    customer, acme, beta = told.state.mails[-3:]
    assert customer.template == "address_changed"
    assert acme.template == beta.template == "seller_address_changed"
    assert (acme.to, acme.packed, beta.to, beta.packed) == ("seller:acme", True, "seller:beta", False)
    assert [line.sku for line in acme.lines] == ["MUG"]
    check_all(told)


def test_who_has_shipped_already_and_the_network_hear_nothing_of_it() -> None:
    told = open_story(cart_line("L1"), cart_line("L2", sku="TEE", seller="beta"))
    told.pack("acme-1")
    told.ship("acme-1")
    move_house(told)
    assert told.mail("seller_address_changed").to == "seller:beta"

    held = story(cart_line(channel=Channel.FBA))
    held.send("hold")
    held.settle()
    move_house(held)
    assert "seller_address_changed" not in held.mailed()


def test_each_change_is_told_by_a_mail_of_its_own() -> None:
    told = open_story()
    move_house(told)
    move_house(told)
    keys = [mail.key for mail in told.state.mails]
    assert told.mailed().count("seller_address_changed") == 2
    assert len({*keys}) == len(keys)
