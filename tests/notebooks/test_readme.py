"""What README shows can be typed as it stands."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

README = (Path(__file__).parents[2] / "README.md").read_text()


@pytest.fixture(scope="module")
def queries():
    return re.findall(r"```sql\n(.*?)```", README, re.DOTALL)


def test_the_queries_run(queries, run_cells):
    assert queries
    asked = [f"mlmagic.sql('''{query}''').shape" for query in queries]
    book = run_cells(["%load_ext mlmagic", "data = [1]", "model = data * 2", "import mlmagic", *asked])
    assert [cell.outputs[0]["data"]["text/plain"] for cell in book.cells[4:]] == ["(1, 3)"] * len(queries)
