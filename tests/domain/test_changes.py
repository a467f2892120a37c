"""What changed since the last write, as rows: all of it, once, and nothing else."""

from domain.changes import as_told, progress_since, untold, whole_progress
from domain.service import note_refused
from domain.timeline import ENTRIES_KEPT
from domain.units import Place
from tests.domain.building import NOW, open_story, shipped_story, story
from tests.domain.identities import check_json


def test_the_first_write_holds_everything() -> None:
    told = story()
    progress = told.save()
    assert progress.order.status == "Pending"
    assert [(unit.spot.place, unit.quantity) for unit in progress.units] == [(Place.PENDING, 1)]
    assert [entry.what for entry in progress.entries] == ["placed"]
    assert progress.lines == ()  # recorded with the order


def test_without_a_change_there_is_nothing_to_write() -> None:
    told = open_story()
    told.save()
    assert told.saved is not None
    assert progress_since(told.saved, told.state, NOW) is None


def test_a_place_that_was_left_is_written_as_empty() -> None:
    told = open_story()
    told.save()
    told.pack()
    rows = {unit.spot.place: unit.quantity for unit in told.save().units}
    assert rows == {Place.RESERVED: 0, Place.PACKED: 1}


def test_mails_are_written_once() -> None:
    told = open_story()
    assert [mail.template for mail in told.save().mails] == ["confirmed", "seller_new_order"]
    assert told.save().mails == ()


def test_a_line_that_came_later_is_written_with_its_money() -> None:
    told = shipped_story()
    told.carrier_says("lost")
    told.save()
    told.send("resolve_issue", issue_id="acme-1-i1", remedy="reship")
    progress = told.save()
    assert [line.line_id for line in progress.lines] == ["L1-r1"]
    told.send("cancel")
    assert [(row.line_id, row.refunded) for row in told.save().line_money] == [("L1", 1000)]


def test_all_rows_are_written_with_what_was_to_be_written_before() -> None:
    told = open_story()
    told.pack()
    refused = told.save()
    told.send("cancel")
    told.send("answer_cancellation", request_id="acme-1-c1", answer="accept")
    whole = whole_progress(told.state, NOW, refused)
    assert {unit.spot.place: unit.quantity for unit in whole.units} == {Place.CANCELLED: 1}
    assert [entry.seq for entry in whole.entries] == list(range(1, told.state.entry_count + 1))
    assert {mail.key for mail in whole.mails} >= {mail.key for mail in refused.mails} != set()
    assert [row.fulfillment_id for row in whole.fulfillments] == ["acme-1"]


def test_no_entry_leaves_the_state_before_the_store_is_told_of_it() -> None:
    order = open_story()
    order.save()
    assert order.saved is not None
    before = order.state.entry_count
    for number in range(2 * ENTRIES_KEPT + 50):
        order.state = note_refused(order.state, "ship", "unknown", f"refusal {number}", NOW)
    state, saved, parts = order.state, order.saved, []
    while (progress := progress_since(saved, state, NOW)) is not None:
        parts.append([entry.seq for entry in progress.entries])
        state, saved = as_told(state, progress.model_copy(update={"version": state.version + 1}))
    assert [len(part) for part in parts] == [ENTRIES_KEPT, ENTRIES_KEPT, 50]
    assert [seq for part in parts for seq in part] == list(range(before + 1, state.entry_count + 1))
    assert len(state.entries) == ENTRIES_KEPT, "the newest travel on"
    assert untold(saved, state) == 0


def test_the_carrier_is_asked_for_events_once_for_each_number() -> None:
    told = shipped_story()
    assert [follow.tracking_number for follow in told.save().follow] == ["TRACK-1"]
    told.carrier_says("in_transit")
    assert told.save().follow == ()
    told.send("correct_tracking", parcel_id="acme-1-p1", carrier="local-courier", tracking_number="RIGHT-1")
    assert [follow.tracking_number for follow in told.save().follow] == ["RIGHT-1"]


def test_nobody_follows_an_untracked_parcel() -> None:
    assert shipped_story(number=None).save().follow == ()


def test_the_state_survives_json_at_every_step() -> None:
    told = story()
    check_json(told.state)
    check_json(told.settle().state)
    told.send("hold", reason="check", expires_at=NOW.replace(hour=23))
    check_json(told.state)
