"""`%%sweep` and `%sweeps` in a real kernel: what is shown, searched, written down, and brought into the notebook."""

from __future__ import annotations

import json

import pytest

from tests.conftest import user_folders
from tests.kernel.kernels import Kernel, script
from tests.kernel.searched import CALM, MARK, Searched, one_line, processes, search, searching, shown

SCORE = "score = sweep.float(0, 1)"
BODY = """rate = sweep.log(1e-3, 1)
depth = sweep.int(2, 12)
doubled = data * 2
score = float(doubled.sum()) * rate + depth"""


@pytest.fixture(scope="module")
def kernel(home, tmp_path_factory):
    """A kernel with some data, for sweeps under names of their own."""
    with Kernel(tmp_path_factory.mktemp("project"), env=user_folders(home) | {MARK: "shared"}) as kernel:
        kernel.good("import numpy as np\ndata = np.arange(10.0)")
        yield kernel


@pytest.fixture(scope="module")
def swept(kernel):
    """The kernel after a sweep called `tune`."""
    search(kernel, BODY, "--trials 6", "tune")
    return kernel


# What is shown


def test_one_output_grows_and_ends_static(kernel):
    states = shown(search(kernel, f"import time\ntime.sleep(0.3)\n{SCORE}", "--trials 6", "grows"))
    assert len(states) > 2
    assert ": running; " in states[1]["text/plain"].splitlines()[0]
    assert states[-1]["text/plain"].startswith("sweep grows: finished; 6 trials")
    assert "<script" not in states[-1]["text/html"].lower()
    assert "widget" not in json.dumps(list(states[-1]))


def test_the_saved_notebook_has_the_last_state(run_cells):
    book = run_cells(["%load_ext mlmagic", searching(SCORE, "--trials 3"), "%sweeps best"])
    (output,) = book.cells[1].outputs
    assert output["output_type"] == "display_data"
    assert output["data"]["text/plain"].startswith("sweep score: finished; 3 trials")
    assert "<svg" in output["data"]["text/html"]
    assert len(json.dumps(output)) < 200_000
    assert "score = " in book.cells[2].outputs[0]["text"]


def test_a_kernel_says_nothing_of_the_packages_that_search(new_kernel):
    # Optuna's progress bars warn, when first imported, where there are no widgets.
    assert search(new_kernel(), SCORE, "--trials 1").complaints == ""


# The notebook before anything is applied


def test_the_notebook_is_as_before(kernel):
    look = "sorted(globals().keys() - set('In Out _ __ ___ _i _ii _iii _oh _dh _ih'.split())), data.tobytes(), len(Out)"
    kernel.good(f"import hashlib\nbefore = None\nbefore = {look}")
    kernel.good("order = [3, 1, 2]")
    search(kernel, f"{BODY}\ndata[0] = 99\norder.sort()\nnew = 1", name="touches")
    assert kernel.good(f"now = {look}\nnow[1] == before[1], now[2] - before[2], order").text == "(True, 0, [3, 1, 2])"
    assert kernel.good("sorted(n for n in set(now[0]) - set(before[0]) if not n.startswith('_'))").text == "['order']"
    assert kernel.good("'sweep' in globals()").text == "False"


def test_the_random_state_of_the_notebook_is_untouched(kernel):
    kernel.good("import random\nrandom.seed(5); np.random.seed(5)\nstates = random.getstate(), np.random.rand()")
    kernel.good("np.random.seed(5)")
    search(kernel, "import random, numpy as np\nnp.random.rand()\nscore = sweep.float(0, 1) + random.random()")
    assert kernel.good("random.getstate() == states[0], np.random.rand() == states[1]").text == "(True, True)"


# Asking


def test_sweeps_lists_shows_and_names_the_best(swept):
    assert "tune: finished, maximize score, 6 trials, best " in swept.good("%sweeps").text
    table = swept.good("%sweeps tune show")
    assert table.text.startswith("sweep tune: finished; 6 trials")
    assert "<svg" in table.faces["text/html"]
    best = swept.good("%sweeps tune best").printed
    trial = max(Searched.last(swept.folder, "tune").trials, key=lambda trial: trial.value)
    assert best.startswith(f"score = {trial.value:.4g} in trial {trial.number}: rate=")
    assert swept.good("found = %sweeps tune\nlen(found.to_pandas())").text == "6"


def test_the_plan_says_what_ran_once_and_why_not_the_rest(swept):
    lines = swept.good("%sweeps tune show --plan").text.splitlines()
    assert lines[0] == "sweep tune: 1 of 4 statements run once for all trials"
    assert lines[3].split() == ["3", "once", "doubled", "=", "data", "*", "2"]
    assert lines[4].endswith("(depth, rate flow in)")


@pytest.mark.parametrize("action", ["show", "best"])
def test_name_and_action_stand_in_any_order(swept, action):
    texts = []
    for line in (f"%sweeps tune {action}", f"%sweeps {action} tune"):
        reply = swept.good(line)
        texts.append(reply.printed or reply.text)
    assert texts[0] == texts[1] != ""


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("%%sweep --max", {"--maximize"}),
        ("%%sweep --tr", {"--trials", "--trial-timeout"}),
        ("%%sweep --res", {"--resume"}),
        ("%%sweep --sampler t", {"tpe"}),
        ("%%sweep --pruner h", {"hyperband", "halving"}),
        ("%%sweep --gpus a", {"auto", "all"}),
        ("%%sweep tu", {"tune"}),
        ("%sweeps --p", {"--plan"}),
        ("%sweeps ", {"list", "show", "best", "stop", "resume", "apply", "tune"}),
        ("%sweeps tu", {"tune"}),
        ("%sweeps tune ap", {"apply"}),
    ],
)
def test_options_names_and_actions_complete_on_tab(swept, typed, offered):
    assert offered <= set(swept.complete(typed))


def test_help_is_complete(kernel):
    for asked, examples in {
        "%%sweep?": ["--maximize", "--resume", "sweep.log"],
        "%sweeps?": ["apply", "--plan"],
    }.items():
        (page,) = [part["data"]["text/plain"] for part in kernel.good(asked).content["payload"]]
        assert all(text in page for text in examples)


# Applying


FIT = """class Counted:
    fits = 0
    def fit(self, rate):
        Counted.fits += 1
        self.fitted = [rate]
        return self
model = Counted().fit(sweep.float(0, 1))
score = model.fitted[0]"""


def test_apply_brings_the_variables_without_training_again(kernel):
    search(kernel, FIT, "--trials 4", "fit")
    best = max(Searched.last(kernel.folder, "fit").trials, key=lambda trial: trial.value)
    kernel.good("%sweeps fit apply")
    assert kernel.good("score, model.fitted == [score], 'sweep' in globals()").text == f"({best.value}, True, False)"
    assert kernel.good("model.fit(0).fitted, type(model).__name__, isinstance(model, Counted)").text == (
        "([0], 'Counted', True)"
    )
    assert kernel.good("%sweeps fit apply\nmodel.fitted == [score]").text == "True"


def test_apply_in_a_new_kernel(new_kernel):
    kernel = new_kernel()
    kernel.good("import numpy as np\ndata = np.arange(10.0)")
    search(kernel, f"{BODY}\nhelper = lambda x: x + depth")
    kernel.restart()
    kernel.good("%sweeps apply")
    assert kernel.good("doubled.tolist() == [2.0 * n for n in range(10)], helper(1) - depth").text == "(True, 1)"


def test_what_is_applied_leads_back_to_the_data(swept):
    swept.good("%sweeps tune apply")
    assert "data" in swept.good("%lineage score").text
    rows = swept.rows()
    assert "data" in rows.reads(rows.cells[-2])
    assert "score" in rows.writes(rows.cells[-2])


def test_secrets_are_not_kept(kernel):
    kernel.good("access_token = 'hush-' + 'hush-1234'")
    search(kernel, f"their_token = access_token + '!'\n{SCORE}", name="secret")
    kernel.good("%sweeps secret apply")
    assert kernel.good("'their_token' in globals()").text == "False"
    hidden = [path for path in kernel.folder.rglob("*") if path.is_file() and b"hush-hush" in path.read_bytes()]
    assert hidden == []


def test_of_trials_that_are_alike_the_first_is_kept(kernel):
    search(kernel, "score = sweep.choice([1, 1.0, True]) * 0", "--trials 8", "alike")
    assert "trial 0" in kernel.good("%sweeps alike apply").printed


# Mistakes


@pytest.mark.parametrize(
    ("line", "body", "told"),
    [
        ("", SCORE, "a sweep needs a metric: --maximize METRIC or --minimize METRIC"),
        ("--maximize score --minimize score", SCORE, "a sweep needs a metric"),
        ("--maximize scoer", SCORE, "reports the metric scoer: no variable 'scoer'; did you mean 'score'?"),
        ("--maximize a.b", SCORE, "the metric is the name of a variable, not 'a.b'"),
        ("--maximize score", "x = sweep.int(1, 2)\nif x > 5:\n    score = 1", "the body ended without score"),
        ("--maximize score", "x = sweep.int(1, 2)\nscore = 'high'", "the metric score is a str, not a number"),
        ("--maximize score", "x = sweep.int(1, 2)\nscore = [x]", "the metric score is a list, not a number"),
        ("--maximize score --trials 3", "x = sweep.int(1, 2)\nscore = float('nan')", "score is NaN"),
        ("--maximize score", "score = 1", "nothing is swept: write sweep.float(a, b)"),
        ("--maximize score", "score = sweep.int(5, 2)", "score: sweep.int(5, 2) is empty"),
        ("--maximize score", "score = sweep.log(0, 1)", "a logarithmic range starts above 0, not at 0"),
        ("--maximize score", "score = sweep.choice([])", "sweep.choice has no options"),
        ("--maximize score", "low = 5\nscore = sweep.float(low, 2)", "is empty"),
        ("--maximize score --sampler tbe", SCORE, "no sampler 'tbe'; did you mean 'tpe'?"),
        ("--maximize score --pruner halvin", SCORE, "no pruner 'halvin'; did you mean 'halving'?"),
        ("--maximize score --engine locl", SCORE, "no engine 'locl'; did you mean 'local'?"),
        ("--maximize score --trails 3", SCORE, "did you mean '--trials'?"),
        ("--maximize score", "score = sweep.float(0, 1", "the body is no Python: '(' was never closed (line 1)"),
        ("--maximize score", "%time\nscore = sweep.float(0, 1)", "the body uses the magic %time"),
        ("--maximize score", "!ls\nscore = sweep.float(0, 1)", "the body uses a shell command"),
        ("--maximize score", "await x\nscore = sweep.float(0, 1)", "the body awaits at its top level"),
        ("--maximize score", "score = sweep.uniform(0, 1)", "no sweep.uniform"),
        ("--maximize score", "x = sweep.int(1, 2)\nscore = f(x=sweep.int(1, 3))", "two swept values are called x"),
        ("--maximize score", "print(sweep.int(1, 2))\nscore = 1", "has no name"),
        ("--maximize score --time 5x", SCORE, "--time takes a time such as 90s, 10m or 2h, not '5x'"),
        ("--maximize score --trial-timeout 0", SCORE, "--trial-timeout takes a time"),
        ("--maximize score --trials 0", SCORE, "--trials takes a whole number from 1 on, not 0"),
        ("--maximize score --trials few", SCORE, "few"),
        ("--maximize score --workers 0", SCORE, "--workers takes a whole number from 1 on, not 0"),
        ("--maximize score --gpus 0", SCORE, "--gpus: there is no GPU 0 here; visible: none"),
        ("--maximize score --gpus some", SCORE, "--gpus takes all, none, auto, or numbers as in 0,1, not 'some'"),
        ("nosuch --maximize score --resume", SCORE, "no sweep to resume called 'nosuch'"),
        ("--maximize score one two", SCORE, "two"),
    ],
)  # fmt: skip
def test_a_mistake_is_one_line(swept, line, body, told):
    swept.good("import os\nos.environ['CUDA_VISIBLE_DEVICES'] = ''")
    assert told in one_line(swept.run(f"%%sweep {line}\n{body}"))
    assert processes("shared") == {}


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("%sweeps tun", "no sweep 'tun'; did you mean 'tune'?"),
        ("%sweeps nosuch apply", "no sweep 'nosuch'"),
        ("%sweeps tune best more", "%sweeps takes one name and one action"),
        ("%sweeps tune stop", "sweep tune is not running: it is finished"),
        ("%sweeps tune --plans", "did you mean '--plan'?"),
    ],
)
def test_a_mistake_in_asking_is_one_line(swept, line, told):
    assert told in one_line(swept.run(line))


@pytest.mark.parametrize("action", ["apply", "best", "show", "stop", "resume"])
def test_before_anything_was_swept_one_line_says_how_to(fresh, action):
    assert one_line(fresh.run(f"%sweeps {action}")).startswith("no sweeps yet: put %%sweep --maximize METRIC")


@pytest.fixture(scope="module")
def fresh(home, tmp_path_factory):
    """A kernel that never swept."""
    with Kernel(tmp_path_factory.mktemp("fresh"), env=user_folders(home)) as kernel:
        yield kernel


def test_a_list_of_no_sweeps_is_a_result(fresh):
    assert fresh.good("%sweeps").text.startswith("no sweeps yet")


# What can be searched


def test_parameters_under_a_condition(kernel):
    body = """
        kind = sweep.choice(['tree', 'line'])
        if kind == 'tree':
            depth = sweep.int(1, 4)
            score = depth
        else:
            slope = sweep.float(0, 1)
            score = slope
        """
    search(kernel, "\n".join(line[8:] for line in body.strip("\n").splitlines()), "--trials 12", "conditional")
    for trial in Searched.last(kernel.folder, "conditional").trials:
        assert trial.params.keys() == {"kind", "depth" if trial.params["kind"] == "tree" else "slope"}
    kernel.good("%sweeps conditional apply")
    assert kernel.good("score == (depth if kind == 'tree' else slope)").text == "True"


def test_choices_of_functions_lambdas_and_classes_of_the_notebook(kernel):
    kernel.good("""
        def double(x): return 2 * x
        def adding(n):
            return lambda x: x + n
        plus = adding(100)
        class Times:
            by = 5
            def __call__(self, x): return x * self.by
        """)
    body = "how = sweep.choice([double, plus, lambda x: x - 1, Times()])\nscore = how(10) + 0 * sweep.float(0, 1)"
    search(kernel, body, "--trials 16", "choosing")
    found = Searched.last(kernel.folder, "choosing")
    worth = {"double": 20.0, "plus": 110.0, "lambda x: x - 1": 9.0, "Times()": 50.0}
    assert {trial.params["how"]: trial.value for trial in found.trials}.items() <= worth.items()
    kernel.good("%sweeps choosing apply")
    assert kernel.good("how(10) == score").text == "True"


def test_classes_of_the_notebook_are_pickled_inside_a_trial(kernel):
    kernel.good("""
        class Point:
            def __init__(self, x): self.x = x
            def __eq__(self, other): return type(self) is type(other) and self.x == other.x
        """)
    body = """import pickle, joblib
def square(point): return Point(point.x ** 2)
x = sweep.int(1, 5)
again = pickle.loads(pickle.dumps(Point(x)))
squares = joblib.Parallel(n_jobs=2)(joblib.delayed(square)(Point(n)) for n in (x, x + 1))
score = int(again == Point(x)) + squares[1].x"""
    search(kernel, body, "--trials 1 --workers 1", "pickling")
    (trial,) = Searched.last(kernel.folder, "pickling").trials
    assert trial.value == 1 + (trial.params["x"] + 1) ** 2
    assert processes("shared") == {}


def test_a_large_array_travels_once_whatever_the_trials(kernel):
    kernel.good("""
        big = np.zeros(50_000_000)
        def with_big(): return big[:3].sum()
        import mlmagic.tuning.search as searching
        packed = []
        def counted(values, path, pack=searching.pack_what_travels):
            stays = pack(values, path)
            packed.append(path.stat().st_size)
            return stays
        searching.pack_what_travels, whole = counted, searching.pack_what_travels
        """)
    body = """import pathlib
score = sweep.float(0, 1) + with_big()
scratch = pathlib.Path(open('/proc/self/cmdline').read().split(chr(0))[-2])
sizes = sorted(path.stat().st_size for path in scratch.iterdir())
mapped = sum('variables' in line or 'shared' in line for line in open('/proc/self/maps'))
large = [size for size in sizes if size > 10_000_000]"""
    search(kernel, body, "--trials 6", "large")
    kernel.good("searching.pack_what_travels = whole")
    # One file from the kernel, and one of what the statements left to the trials start from: the same array, mapped.
    assert kernel.good("[400_000_000 < size < 401_000_000 for size in packed]").text == "[True]"
    kernel.good("%sweeps large apply")
    assert int(kernel.good("len(large)").text) <= 2
    assert kernel.good("mapped > 0").text == "True"
    artifacts = [path.stat().st_size for path in (kernel.folder / ".mlmagic").rglob("*") if path.is_file()]
    assert max(artifacts) < 10_000_000
    kernel.good("del big")


# OpenMP, CUDA


def test_after_a_model_was_fitted_with_openmp_a_sweep_of_another_ends(kernel):
    pytest.importorskip("sklearn")
    kernel.good("""
        from sklearn.ensemble import HistGradientBoostingClassifier
        X = np.random.default_rng(0).normal(size=(400, 4))
        y = (X[:, 0] > 0).astype(int)
        HistGradientBoostingClassifier(max_iter=5).fit(X, y);
        """)
    body = """model = HistGradientBoostingClassifier(max_iter=sweep.int(2, 6)).fit(X, y)
score = model.score(X, y)"""
    search(kernel, body, "--trials 2", "boosting")
    assert Searched.last(kernel.folder, "boosting").states == ["complete"] * 2
    kernel.good("%sweeps boosting apply")
    assert kernel.good("model.score(X, y) == score").text == "True"


def test_where_cuda_is_initialised_the_kernel_does_not_touch_it(new_kernel):
    pytest.importorskip("torch")
    kernel = new_kernel()
    kernel.good("""
        import torch
        def touched(*args, **named): raise AssertionError('the kernel touched CUDA')
        for name in 'get_rng_state set_rng_state manual_seed manual_seed_all synchronize _lazy_init'.split():
            setattr(torch.cuda, name, touched)
        torch.cuda.is_initialized = lambda: True
        weights = torch.ones(3)
        """)
    reply = kernel.good(searching("score = float(weights.sum()) * sweep.float(0, 1)", "--trials 2"), timeout=100)
    assert reply.complaints == ""
    assert Searched.last(kernel.folder).states == ["complete"] * 2


def test_each_trial_sees_the_one_gpu_of_its_slot(kernel):
    kernel.good("import os\nos.environ['CUDA_VISIBLE_DEVICES'] = '0,1'")
    try:
        body = "import os\nx = sweep.float(0, 1)\nscore = int(os.environ['CUDA_VISIBLE_DEVICES'])"
        search(kernel, body, "--trials 6 --gpus 0,1", "gpus")
        trials = Searched.last(kernel.folder, "gpus").trials
        assert {(trial.value, trial.device, trial.worker) for trial in trials} == {(0, "cuda:0", 0), (1, "cuda:1", 1)}
        assert kernel.good("os.environ['CUDA_VISIBLE_DEVICES']").text == "'0,1'"
    finally:
        kernel.good("os.environ['CUDA_VISIBLE_DEVICES'] = ''")


# Pruning


@pytest.mark.parametrize("pruner", ["halving", "hyperband"])
def test_hopeless_trials_end_early(kernel, pruner):
    body = """slope = sweep.float(0, 1)
for step in range(12):
    score = slope * step
    sweep.report(step=step, score=score, loss=-score)"""
    search(kernel, body, f"--trials 25 --workers 1 --pruner {pruner}", pruner)
    found = Searched.last(kernel.folder, pruner)
    pruned = found.with_status("pruned")
    assert pruned
    last = {one.trial_id: one.step for one in found.reports if one.name == "score"}
    assert all(last[trial.trial_id] < 11 for trial in pruned)
    assert all(last[trial.trial_id] == 11 for trial in found.with_status("complete"))
    assert f"{len(pruned)} pruned" in kernel.good(f"%sweeps {pruner}").text


# What is written down


def test_every_trial_is_in_the_tables_with_seed_and_device(swept):
    sql = """SELECT t.number, t.seed, t.device, t.status, t.params, s.name,
             (SELECT count(*) FROM params p WHERE p.trial_id = t.trial_id) AS n_params,
             (SELECT max(m.value) FROM metrics m WHERE m.trial_id = t.trial_id AND m.name = 'score') - t.value AS off
             FROM trials t JOIN sweeps s USING (sweep_id) WHERE s.name = 'tune' ORDER BY t.number"""
    swept.good(f'frame = %lineage --sql "{" ".join(sql.split())}"')
    assert swept.good("frame.number.tolist(), frame.n_params.tolist(), frame.off.tolist()").text == (
        "([0, 1, 2, 3, 4, 5], [2, 2, 2, 2, 2, 2], [0.0, 0.0, 0.0, 0.0, 0.0, 0.0])"
    )
    assert swept.good("frame.seed.nunique(), set(frame.device), set(frame.status)").text == "(6, {'cpu'}, {'complete'})"


def test_a_trial_is_joined_to_the_data_its_sweep_read(swept):
    sql = """SELECT DISTINCT v.name, v.shape FROM trials t JOIN sweeps s USING (sweep_id)
             JOIN reads r ON r.execution_id = s.execution_id JOIN versions v USING (version_id)
             WHERE s.name = 'tune' AND v.kind = 'variable'"""
    assert "data" in swept.good(f'%lineage --sql "{" ".join(sql.split())}"').text


def test_reports_are_metrics_with_steps(kernel):
    search(
        kernel, "x = sweep.int(1, 3)\nfor n in range(3):\n    sweep.report(step=n, score=n * x)", "--trials 2", "told"
    )
    found = Searched.last(kernel.folder, "told")
    for trial in found.trials:
        mine = [
            (one.step, one.value) for one in found.reports if one.trial_id == trial.trial_id and one.step is not None
        ]
        assert mine == [(n, n * trial.params["x"]) for n in range(3)]
        assert trial.value == 2 * trial.params["x"]


def test_one_trial_takes_the_defaults(kernel):
    body = "a = sweep.log(1e-4, 1)\nb = sweep.int(1, 9, default=7)\nc = sweep.choice(['p', 'q'])\nscore = a"
    search(kernel, body, "--trials 1", "defaults")
    (trial,) = Searched.last(kernel.folder, "defaults").trials
    assert trial.params == {"a": pytest.approx(1e-2), "b": 7, "c": "p"}


def test_a_budget_in_time_ends_the_sweep(kernel):
    search(kernel, SCORE, "--time 1s", "timed")
    found = Searched.last(kernel.folder, "timed")
    assert found.sweep.status == "finished"
    assert len(found.trials) > 1
    assert found.sweep.options["trials"] is None


def test_a_seed_suggests_the_same_values_again(kernel):
    for name, seed in (("one", 3), ("same", 3), ("other", 4)):
        search(kernel, SCORE, f"--trials 4 --workers 1 --seed {seed}", name)
    one, same, other = (Searched.last(kernel.folder, name).trials for name in ("one", "same", "other"))
    assert [(trial.params, trial.seed) for trial in one] == [(trial.params, trial.seed) for trial in same]
    assert [trial.params for trial in one][1:] != [trial.params for trial in other][1:]


def test_the_same_name_twice_is_two_sweeps(kernel):
    search(kernel, SCORE, "--trials 2", "twice")
    search(kernel, SCORE, "--trials 3", "twice")
    found = [one for one in Searched.all(kernel.folder) if one.sweep.name == "twice"]
    assert [len(one.trials) for one in found] == [2, 3]
    assert kernel.good("%sweeps twice").text.startswith("sweep twice: finished; 3 trials")
    assert one_trial_can_be_applied(kernel, found)


def one_trial_can_be_applied(kernel, found):
    kernel.good(f"%sweeps {found[0].sweep.sweep_id} apply")
    return kernel.good("score").text == str(max(trial.value for trial in found[0].trials))


def test_resume_goes_on_to_the_full_number(kernel):
    search(kernel, SCORE, "--trials 2", "longer")
    search(kernel, SCORE, "--trials 5 --resume", "longer")
    found = [one for one in Searched.all(kernel.folder) if one.sweep.name == "longer"]
    assert [len(one.trials) for one in found] == [5]
    kernel.good("%sweeps longer resume")
    assert len(Searched.last(kernel.folder, "longer").trials) == 5


# With the other magics


def test_track_above_names_the_cell(kernel):
    kernel.good(f"%%track tracked\n%%sweep inside --maximize score {CALM} --trials 2\n{SCORE}")
    last = kernel.rows().last
    assert (last.name, last.execution_id) == ("tracked", Searched.last(kernel.folder, "inside").sweep.execution_id)


def test_a_sweep_is_never_reused(new_kernel):
    kernel = new_kernel(env={"MLMAGIC_REUSE": "on", "MLMAGIC_REUSE_MIN_SECONDS": "0"})
    for _ in range(2):
        search(kernel, SCORE, "--trials 2", "again")
    assert [len(one.trials) for one in Searched.all(kernel.folder)] == [2, 2]
    assert [row.status for row in kernel.rows().cells if "%%sweep" in row.source] == ["ok", "ok"]


# The function


FUNCTION = """
        import mlmagic
        offset = 3
        def judged(x, how):
            return {'score': x + offset + how(1), 'spare': x}
        space = {'x': mlmagic.sweep.float(0, 1), 'how': mlmagic.sweep.choice([abs, lambda n: n + 1])}
        """


def test_a_function_is_searched_in_the_kernel(kernel):
    kernel.good(FUNCTION)
    kernel.good(f"result = mlmagic.sweep(judged, space, maximize='score', trials=4, sampler={CALM.split()[1]!r})")
    found = Searched.last(kernel.folder, "judged")
    assert found.states == ["complete"] * 4
    spare = {one.trial_id: one.value for one in found.reports if one.name == "spare"}
    assert [spare[trial.trial_id] for trial in found.trials] == found.params("x")
    assert kernel.good("result.best.value == max(t.value for t in result.trials), len(result.to_pandas())").text == (
        "(True, 4)"
    )


def test_lambdas_and_closures_are_searched(kernel):
    kernel.good("import mlmagic\ndef make(n):\n    table = {'n': n}\n    return lambda x: x + table['n']")
    call = "mlmagic.sweep({}, {{'x': mlmagic.sweep.int(1, 3)}}, minimize='loss', trials=2, sampler='random', name={!r})"
    assert kernel.good(call.format("make(10)", "closed") + ".best.value > 10").text == "True"
    assert kernel.good(call.format("lambda x: -x", "lambda") + ".best.value < 0").text == "True"
    assert "closed" in kernel.good("%sweeps closed").text


@pytest.mark.parametrize(
    ("call", "told"),
    [
        ("mlmagic.sweep(abs, {}, maximize='score')", "a sweep needs a space"),
        ("mlmagic.sweep(abs, {'x': 3}, maximize='score')", "x: a range is expected"),
        ("mlmagic.sweep(abs, {'x': mlmagic.sweep.int(1, 2)})", "a sweep needs a metric"),
        ("mlmagic.sweep.log(0, 1)", "a logarithmic range starts above 0"),
        ("mlmagic.sweep(str, {'object': mlmagic.sweep.int(1, 2)}, maximize='score')", "score is a str, not a number"),
    ],
)  # fmt: skip
def test_a_mistake_in_the_call_says_what_is_wrong(kernel, call, told):
    kernel.good("import mlmagic")
    assert told in str(kernel.run(call).error)


def test_a_plain_script_sweeps(tmp_path):
    done = script(
        """
        import mlmagic
        table = {"n": 5}
        def judged(x):
            mlmagic_free = [x]
            return {"score": mlmagic_free[0] + table["n"], "twice": 2 * x}
        if __name__ == "__main__":
            found = mlmagic.sweep(judged, {"x": mlmagic.sweep.float(0, 1)}, maximize="score", trials=3)
            print(found.best.value > 5, len(found.trials))
            print(mlmagic.sweep(lambda x: x, {"x": mlmagic.sweep.int(1, 3)}, maximize="s", trials=2, sampler="random"))
        """,
        tmp_path,
    )
    assert done.stderr == ""
    assert done.stdout.splitlines()[0] == "True 3"
    assert "finished; 2 trials" in done.stdout
    assert [len(one.trials) for one in Searched.all(tmp_path)] == [3, 2]
