"""What queries show: where everything is, what may be done, and no personal data."""

from domain.messages import TimelineQuery
from domain.placing import Channel
from domain.views import details, order_result, status_view, timeline_view
from tests.domain.building import NOW, Story, cart_line, open_story, shipped_story, story


def actions(told: Story) -> set[str]:
    return {action.message for action in status_view(told.state, NOW).actions}


def test_the_view_says_where_every_unit_is() -> None:
    told = open_story(cart_line("L1", 3), cart_line("L2", sku="TEE", seller="beta"))
    told.send("cancel", items=[{"line_id": "L1", "quantity": 1}])
    told.pack("beta-1")
    view = status_view(told.state, NOW)
    assert [line.units for line in view.lines] == [{"cancelled": 1, "reserved": 2}, {"packed": 1}]
    assert view.fulfillments[1].parcels[0].contents == {"L2": 1}
    assert view.status == "Unshipped"


def test_only_what_would_be_obeyed_is_offered() -> None:
    told = open_story()
    assert actions(told) >= {"cancel", "hold", "change_address", "pack", "reject_lines"}
    told.pack()
    assert actions(told) >= {"cancel", "ship", "unpack"}
    assert "pack" not in actions(told)
    told.send("cancel")
    assert actions(told) >= {"answer_cancellation"}
    assert not actions(told) & {"cancel", "ship", "unpack"}


def test_a_shipped_order_offers_what_concerns_parcels() -> None:
    told = shipped_story()
    assert actions(told) >= {"carrier_event", "confirm_delivery", "correct_tracking", "report_issue", "goodwill_refund"}
    assert not actions(told) & {"cancel", "hold", "change_address", "pack", "ship"}


def test_a_closed_order_offers_nothing() -> None:
    told = shipped_story()
    told.carrier_says("delivered")
    told.close()
    view = status_view(told.state, NOW)
    assert view.closed
    assert view.actions == ()
    assert view.waits_for == ()
    assert told.refusal("note", text="late") == "the order is closed"


def test_the_network_packs_so_pack_is_not_offered() -> None:
    told = open_story(cart_line(channel=Channel.FBA))
    assert "pack" not in actions(told)
    assert any("fulfillment network" in wait for wait in status_view(told.state, NOW).waits_for)


def test_the_view_says_what_the_order_waits_for() -> None:
    told = open_story()
    assert status_view(told.state, NOW).waits_for == ("acme to pack acme-1, by 2025-06-04 12:00",)
    assert status_view(story().state, NOW).waits_for == ("authorize (order)",)


def test_no_view_tells_a_name_or_an_address() -> None:
    told = shipped_story()
    told.send("report_issue", kind="damaged", parcel_id="acme-1-p1")
    shown = status_view(told.state, NOW).model_dump_json() + details(told.state) + told.state.model_dump_json()
    for personal in ("Ada", "Lovelace", "example.com", "Main Street", "Springfield"):
        assert personal not in shown


def test_the_timeline_gives_the_newest() -> None:
    told = shipped_story()
    view = timeline_view(told.state, TimelineQuery(newest=2))
    assert [entry.what for entry in view.entries] == ["handed_over", "captured"]
    assert view.count == len(told.state.entries)


def test_the_result_counts_units_and_money() -> None:
    told = shipped_story(cart_line(quantity=2))
    told.carrier_says("delivered")
    result = order_result(told.close().state)
    assert result.status == "Delivered"
    assert result.units == {"delivered": 2}
    assert (result.captured, result.refunded, result.voided) == (2000, 0, 0)


def test_details_are_a_table_that_people_read() -> None:
    told = shipped_story()
    assert "| L1: 1 x MUG (acme, FBM) | 1 shipped |" in details(told.state)
    assert "- the delivery of acme-1-p1" in details(told.state)
