"""The laws for requests: each with its source, and none offered that a request of this desk cannot rest on."""

from gateway.desk.notices.service_requests import list_laws, list_other_ways, load_laws
from partner_sdk.wire.mailbox import MAX_PURPOSE_CHARACTERS


def test_each_kind_of_request_has_a_law_and_each_law_a_use() -> None:
    own = {code for code, _ in list_laws("information-request", is_own_report=True)}
    others = {code for code, _ in list_laws("information-request", is_own_report=False)}
    kept = {code for code, _ in list_laws("preservation-request", is_own_report=False)}
    assert (own - others, kept) == ({"own_report"}, {"preservation"})
    assert others == {"communications_data", "crime_exemption"}
    assert own | kept | {code for code, one in load_laws().items() if one in list_other_ways()} == set(load_laws())


def test_each_law_is_still_to_be_proven_by_a_lawyer_and_fits_a_request() -> None:
    laws = load_laws()
    assert len(laws) >= 7
    for one in laws.values():
        assert one.to_prove, one.title
        assert len(one.law) <= MAX_PURPOSE_CHARACTERS - 80, one.title  # with the number of an authorisation
        assert one.due_days is None, "a law's own time needs its source"
