"""Where the panel gets what it was not told: the session's rows, from its store."""

from __future__ import annotations

from mlmagic.errors import StoreError
from mlmagic.panel.feed import Sources
from mlmagic.panel.ledger import ledger
from mlmagic.records import AssertionResult, History
from mlmagic.session import Session


def sources(session: Session) -> Sources:
    """The sources of a living session; where its store cannot be read, the panel begins with what comes next."""

    def history() -> History:
        try:
            return session.history()
        except StoreError as error:
            session.tell_once(f"the panel begins without the cells so far ({error})")
            return History((), (), (), ())

    def results() -> list[AssertionResult]:
        try:
            return session.store.assertion_results(every_row=False)
        except StoreError:  # `history` has told
            return []

    return Sources(history, lambda: list(session.reuses), results, lambda marks: ledger(session, marks))
