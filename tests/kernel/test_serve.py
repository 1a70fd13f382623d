"""`%serve` and `%endpoints` in a real kernel: a model leaves the notebook, answers, is watched, and ends with it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from tests.conftest import user_folders
from tests.kernel.kernels import Kernel
from tests.kernel.searched import one_line

pytest.importorskip("skl2onnx")
pytest.importorskip("httptools")

DATA = """
import numpy as np, pandas as pd
rng = np.random.default_rng(0)
X = pd.DataFrame({"age": rng.integers(18, 90, 600), "income": rng.normal(50, 10, 600).round(2)})
y = np.where(X["age"] + X["income"] > 100, "leaves", "stays")
"""
MODEL = """
from sklearn.linear_model import LogisticRegression
model = LogisticRegression(max_iter=500).fit(X[:400], y[:400])
"""
RULE = """%%assertion young_leave --on model
def young_leave(inputs, outputs):
    return (inputs["age"] < 30) & (outputs[:, 0] > 0.5)
"""


@pytest.fixture(scope="module")
def kernel(home, tmp_path_factory):
    with Kernel(tmp_path_factory.mktemp("project"), env=user_folders(home)) as kernel:
        for cell in (DATA, MODEL, RULE):
            kernel.good(cell)
        kernel.good("import mlmagic\nmlmagic.export(model, 'churn', holdout=(X[400:], y[400:]), train=X[:400])")
        kernel.good("endpoint = %serve churn")
        yield kernel


def told(kernel: Kernel, expression: str):
    reply = kernel.good(f"import json\nprint(json.dumps({expression}, default=str))")
    return json.loads(reply.printed)


def until(question, seconds: float = 30.0):
    end = time.monotonic() + seconds
    while not (found := question()):
        assert time.monotonic() < end
        time.sleep(0.1)
    return found


def rows(kernel: Kernel, query: str) -> list[dict]:
    return json.loads(kernel.good(f"print(mlmagic.sql({query!r}).to_json(orient='records'))").printed)


def test_the_handle_answers_as_the_model_does(kernel):
    assert re.fullmatch(r"endpoint churn \w{12} at http://127.0.0.1:\d+", kernel.good("endpoint").text)
    assert told(kernel, "bool((endpoint.predict(X) == model.predict(X)).all())") is True
    apart = "float(abs(endpoint.predict_proba(X) - model.predict_proba(X)).max())"
    assert told(kernel, apart) < 1e-4


def test_anybody_can_ask_over_http(kernel):
    url = told(kernel, "endpoint.url")
    body = json.dumps({"rows": [{"age": 80, "income": 70.0}]}).encode()
    with urllib.request.urlopen(f"{url}/v1/models/churn:predict", body) as answer:
        found = json.load(answer)
    assert found["predictions"][0]["label"] == "leaves"
    assert (found["model"], found["version"]) == ("churn", told(kernel, "endpoint.version"))


def test_predictions_lead_by_sql_to_the_cell_that_made_the_model(kernel):
    kernel.good("endpoint.predict(X[:50])")
    query = """SELECT p.inputs->>'age' AS age, p.outputs->>'label' AS label, e.source FROM predictions p
               JOIN bundles b USING (bundle_id)
               JOIN versions v ON v.version_id = b.model_version
               JOIN executions e ON e.execution_id = v.execution_id
               ORDER BY p.at, p.request_id, p.row"""
    found = until(lambda: rows(kernel, query))
    assert {row["source"] for row in found} == {MODEL}
    assert all((row["label"] in ("leaves", "stays")) and row["age"].isdigit() for row in found)


def test_endpoints_show_traffic_assertions_and_drift(kernel):
    kernel.good("for _ in range(5): endpoint.predict(X)")
    until(lambda: "fired" in kernel.good("%endpoints churn").text and "drifted" in kernel.good("%endpoints churn").text)
    faces = kernel.good("%endpoints churn").faces
    assert "assertion young_leave: " in faces["text/plain"]
    assert "requests a second" in faces["text/plain"]
    for text in ("young_leave", "rows of a batch", "p99 of a request, ms", "drift: "):
        assert text in faces["text/html"]
    assert "<dl" not in faces["text/html"]
    listed = kernel.good("%endpoints").faces
    assert "▸ churn" in listed["text/plain"]
    assert "▸ running" in listed["text/html"]
    data = told(kernel, "mlmagic.endpoints('churn').to_dict()")
    assert (data["state"], data["rows"] > 3000, data["assertions"][0]["name"]) == ("running", True, "young_leave")


def test_a_log_has_the_rows_with_their_data(kernel):
    kernel.good("endpoint.predict(X[:3])")
    until(lambda: rows(kernel, "SELECT 1 FROM predictions LIMIT 1"))
    faces = kernel.good("%endpoints churn log --rows 3").faces
    assert "the last 3 predictions of endpoint churn, newest first" in faces["text/plain"]
    assert "age" in faces["text/html"]
    assert "probabilities" in faces["text/html"]


def test_drift_of_an_endpoint_is_of_its_log(kernel):
    kernel.good("endpoint.predict(X.assign(age=X['age'] + 40))")
    until(lambda: rows(kernel, "SELECT 1 FROM predictions WHERE (inputs->>'age')::INT > 95 LIMIT 1"))
    assert kernel.good("%drift churn --no-joint").text.startswith("endpoint:")
    assert told(kernel, "'age' in mlmagic.drift('churn', joint=False).drifted") in (True, False)
    found = rows(kernel, "SELECT DISTINCT reference FROM drifts WHERE \"current\" LIKE 'endpoint:%'")
    assert found == [{"reference": "bundle:churn"}]


def test_the_same_version_again_is_the_same_endpoint(kernel):
    reply = kernel.good("again = %serve churn\nprint(again is endpoint)")
    assert reply.printed == "True\n"
    assert re.search(r"endpoint churn \w+ at \S+ serves this already", reply.complaints)


def test_what_runs_on_beside_a_new_endpoint_is_told_once_that_runs(kernel):
    reply = kernel.good("other = %serve churn --slo-ms 5\nother.stop()")
    assert re.search(r"endpoint churn \w+ at \S+ still runs, too; %endpoints \w+ stop ends it", reply.complaints)
    port = kernel.good("print(endpoint.url.rpartition(':')[2])").printed.strip()
    assert "still runs" not in one_line(kernel.run(f"%serve churn --slo-ms 5 --port {port}"))


def test_mistakes_are_one_line(kernel):
    for line, expected in (
        ("%serve chrn", "no bundle 'chrn'; did you mean 'churn'?"),
        ("%serve churn/000000000000", "no version of churn '000000000000'"),
        ("%serve churn --port 99999", "a port is a number from 0"),
        ("%serve churn --slo-ms 0", "--slo-ms takes a number of milliseconds above 0, not 0"),
        ("%serve /nowhere", "/nowhere is no folder of a bundle"),
        ("%endpoints chrun", "no endpoint 'chrun'; did you mean 'churn'?"),
        ("%endpoints churn shw", "no action of %endpoints 'shw'; did you mean 'show'?"),
        ("%endpoints churn show now", "%endpoints takes one name and one action"),
        ("%endpoints --bogus 3", "no option of %endpoints"),
        ("%drift X", "%drift takes a reference and current data"),
        ("%drift nobody", "no endpoint 'nobody'; there are: churn"),
    ):
        assert expected in one_line(kernel.run(line)), line


def test_another_kernel_sees_the_endpoint_and_may_stop_it(home, tmp_path, kernel):
    kernel.good("other = mlmagic.serve('churn', slo_ms=7)")
    with Kernel(kernel.folder, env=user_folders(home)) as second:
        second.good("import mlmagic")
        assert second.good("%endpoints").text.count("running") == 2
        url = told(kernel, "other.url")
        endpoint_id = told(kernel, "other.endpoint_id")
        assert second.good(f"%endpoints {endpoint_id} stop").printed == f"stopped endpoint churn at {url}\n"
        state = second.good("%endpoints").text
    assert "churn: ended" in state.replace(told(kernel, "other.version") + ":", ":").replace(" :", ":")
    assert told(kernel, "other.alive") is False


def test_help_and_completion(kernel):
    assert "%serve churn" in kernel.good("%serve?").content["payload"][0]["data"]["text/plain"]
    assert "churn" in kernel.complete("%serve ch")
    assert {"log", "stop"} <= set(kernel.complete("%endpoints "))


def test_servers_end_with_the_extension_and_with_a_killed_kernel(home, tmp_path, kernel):
    with Kernel(kernel.folder, env=user_folders(home)) as second:
        second.good("import mlmagic\none = mlmagic.serve('churn', log=False)")
        pid = told(second, "one._process.pid")
        second.good("%unload_ext mlmagic")
        until(lambda: not _runs(pid))
        second.good("%load_ext mlmagic")
        second.good("two = mlmagic.serve('churn')")
        pid, url = told(second, "two._process.pid"), told(second, "two.url")
        os.kill(told(second, "__import__('os').getpid()"), signal.SIGKILL)
        until(lambda: not _runs(pid))
    listed = told(kernel, f"[one for one in mlmagic.endpoints().to_dict()['endpoints'] if one['url'] == {url!r}]")
    assert [one["state"] for one in listed] in (["ended"], ["gone"])


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_server_that_is_killed_is_gone_and_its_log_is_there(kernel):
    kernel.good("victim = mlmagic.serve('churn', slo_ms=9)")
    endpoint_id, pid = told(kernel, "victim.endpoint_id"), told(kernel, "victim._process.pid")
    kernel.good("victim.predict(X[:7])")
    logged = f"SELECT count(*) AS n FROM predictions WHERE endpoint_id = '{endpoint_id}'"
    until(lambda: rows(kernel, logged) == [{"n": 7}])
    os.kill(pid, signal.SIGKILL)
    until(lambda: not _runs(pid))
    text = kernel.good(f"%endpoints {endpoint_id}").text
    assert ": gone" in text
    assert "7 rows in the log" in text
    assert one_line(kernel.run(f"%endpoints {endpoint_id} stop")) == "endpoint churn does not run: it is gone"
    assert "nothing answers" in kernel.run("victim.predict(X)").error
    assert rows(kernel, f"SELECT ended_at FROM endpoints WHERE endpoint_id = '{endpoint_id}'") == [{"ended_at": None}]


def test_a_script_serves_without_a_session(home, kernel, tmp_path):
    bundle = told(kernel, "str(mlmagic.sql('SELECT path FROM bundles').path[0])")
    code = f"""
import mlmagic
with mlmagic.serve({bundle!r}) as endpoint:
    print(endpoint.predict({{"age": [80], "income": [70.0]}}).tolist())
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("['leaves']\n", "")
    assert not (tmp_path / ".mlmagic").exists()
