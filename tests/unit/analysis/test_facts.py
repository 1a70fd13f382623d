"""The other facts of a cell: what it binds, deletes, calls and may change; and its hash."""

from __future__ import annotations

import textwrap
import warnings

import pytest

from mlmagic.analysis import CellFacts, CodeFacts, analyse, code_facts, source_hash


@pytest.mark.parametrize(
    ("text", "binds", "sure"),
    [
        ("x = 1", "x", "x"),
        ("x += 1", "x", "x"),
        ("(x, *y), z.a, w[0] = v", "x y", "x y"),
        ("for i in xs: y = i", "i y", ""),
        ("for i in [1]: y = i", "i y", "i y"),
        ("with a as b: c = 1", "b c", "b"),
        ("with open(p) as b: c = 1", "b c", "b c"),
        ("import a.b, c.d as e", "a e", "a e"),
        ("from a import b, c as d", "b d", "b d"),
        ("from a import *", "", ""),
        ("def f(): x = 1", "f", "f"),
        ("def f():\n    global x\n    x = 1", "f", "f"),
        ("class A: x = 1", "A", "A"),
        ("class A:\n    global x\n    x = 1", "A x", "A x"),
        ("print(y := 1)", "y", "y"),
        ("[y := i for i in xs]", "y", ""),
        ("if c: x = 1\nelse: x = y = 2", "x y", "x"),
        ("try: x = 1\nexcept E as e: y = 1", "e x y", ""),
        ("match a:\n    case [b, *c]: pass\n    case {'k': d, **e}: pass", "b c d e", ""),
        ("x: int", "", ""),
        ("x: int = 1", "x", "x"),
        ("x = 1; del x", "x", ""),
        ("del x; x = 1", "x", "x"),
        ("x = 1\nif c: del x", "x", ""),
        ("x = 1\nfor i in [1, 2]:\n    if c:\n        del x\n        break", "i x", "i"),
        ("def f():\n    global x\n    del x\nx = 1\nf()", "f x", "f"),
        ("raise E\nx = 1", "x", "x"),
        ("class A: __x = 1", "A", "A"),
        ("class A:\n    global __x\n    __x = 1", "A _A__x", "A _A__x"),
        ("get_ipython().run_cell_magic('time', '', 'x = 1')", "x", "x"),
        ("get_ipython().run_cell_magic('timeit', '', 'x = 1')", "", ""),
        ("get_ipython().run_cell_magic('capture', 'out', 'x = 1')", "out x", "out"),
        ("get_ipython().run_cell_magic('bash', '--out o --err e', 'ls')", "e o", "e o"),
        ("exec('x = 1')", "x", "x"),
    ],
)
def test_a_cell_binds(text, binds, sure):
    facts = analyse(text)
    assert facts.binds == set(binds.split())
    assert facts.sure_binds == set(sure.split())
    assert not facts.dynamic


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("del x, y[0], z.a", "x"),
        ("if c: del x", "x"),
        ("try: f()\nexcept E as e: pass", "e"),
        ("class A:\n x=1\n del x", ""),
    ],
)
def test_a_cell_deletes(text, names):
    assert analyse(text).deletes == set(names.split())


@pytest.mark.parametrize(
    "text",
    [
        "exec(code)",
        "eval(f'{x}')",
        "exec('x = ')",
        "exec('x', {})",
        "e = eval",
        "globals()['x'] = 1",
        "locals()",
        "vars()",
        "dir()",
        "get_ipython().user_ns",
        "ip = get_ipython()",
        "get_ipython().run_line_magic('run', 'a.py')",
        "get_ipython().run_line_magic('reset', '-f')",
        "get_ipython().run_line_magic('who_ls', '')",
        "get_ipython().run_line_magic('store', '-r')",
        "get_ipython().run_line_magic('something', 'else')",
        "get_ipython().run_line_magic(name, '')",
        "get_ipython().run_cell_magic('time', '', body)",
        "get_ipython().run_cell_magic('sql', '', 'select 1')",
        "import __main__",
        "from __main__ import x",
        "__import__('__main__')",
        "importlib.import_module('__main__')",
        "sys.modules['__main__']",
        "sys.modules[__name__]",
        "inspect.currentframe().f_globals",
        "builtins.exec(code)",
        "map(lambda: eval(x), y)",
        "def f(): return globals()\nf()",
        "[locals() for i in xs]",
    ],
)
def test_it_could_do_anything(text):
    assert analyse(text).dynamic


@pytest.mark.parametrize(
    "text",
    [
        "def f(): return globals()",
        "def f(): return locals(), vars()\nf()",
        "vars(x)",
        "eval = f\neval(x)",
        "eval('x + 1')",
        "compile(a, b, c)",
        "input()",
        "df.eval('a + b')",
        "model.eval()",
        "'google.colab' in sys.modules",
        "if __name__ == '__main__': main()",
        "from m import *",
        "get_ipython().run_line_magic('matplotlib', 'inline')",
        "get_ipython().run_line_magic('mlmagic', 'status')",
        "get_ipython().system('pip install x')",
    ],
)
def test_it_could_not_do_everything(text):
    assert not analyse(text).dynamic


@pytest.mark.parametrize(
    ("text", "paths"),
    [
        ("pd.set_option('a', 1)", "pd.set_option"),
        ("set_config(a=1)", "set_config"),
        ("pd.options.display.x = 1", "pd.options.display.x"),
        ("a[0].b += 1; del c[0]", "a c"),
        ("x = f()", ""),
        ("print(x); display(y)", ""),
        ("x", ""),
        ("f(x).g(y)", "f"),
        ("a.b[0].c(x).d(y)", "a.b"),
        ("await session.post(x)", "session.post"),
        ("for x in xs: x.fit()\nif c:\n    with d: e.f()", "e.f x.fit"),
        ("def f(): pd.set_option('a', 1)", ""),
        ("[ax.plot(x) for x in xs]", "ax.plot"),
        ("get_ipython().system('ls')", ""),
    ],
)
def test_a_call_with_a_dropped_value_may_change_something(text, paths):
    facts = analyse(text)
    assert facts.effects | facts.last_effects == set(paths.split())


def test_the_last_expression_may_be_shown_instead_of_dropped():
    facts = analyse("pd.set_option('a', 1)\npd.crosstab(a, b)")
    assert (facts.effects, facts.last_effects) == ({"pd.set_option"}, {"pd.crosstab"})


def test_called_names_are_those_at_the_root_of_a_call():
    facts = analyse("a = 1\nf(x)\nnp.random.seed(0)\na.b\nf()")
    assert facts.called == {"f": {"a"}, "np": {"a"}}


def test_functions_keep_what_they_would_do_when_called():
    text = """
        def f(p):
            global s, d
            s = pd.read_csv("a.csv")
            del d
            import m.n
            return s.total + k
        class A:
            def m(self): return q
            def n(self): return eval(r)
        g = lambda: h
    """
    facts = analyse(textwrap.dedent(text))
    assert facts.functions.keys() == {"f", "A", "g"}
    assert facts.functions["f"] == CodeFacts(
        loads=frozenset({"pd", "k"}),
        stores=frozenset({"s"}),
        deletes=frozenset({"d"}),
        strings=("a.csv",),
        attributes=frozenset({"read_csv", "total"}),
        imports=frozenset({"m.n"}),
    )
    assert facts.functions["A"].loads == {"q", "eval", "r"}
    assert facts.functions["A"].dynamic
    assert facts.functions["g"].loads == {"h"}
    # Nothing of it happens when they are only defined.
    assert not facts.dynamic
    assert facts.strings == ()
    assert facts.imports == frozenset()


def test_what_a_function_would_do_counts_once_it_may_be_called():
    facts = analyse("def f(): return open('a.csv').name\ndef g(): return f()\ng()")
    assert facts.strings == ("a.csv",)
    assert facts.attributes == {"name"}


def test_imports_are_dotted_modules():
    facts = analyse("import a.b as c\nfrom d.e import f\nfrom . import g\nfrom .h import i\nimport_module('j.k')")
    assert facts.imports == {"a.b", "d.e", ".", ".h", "j.k"}


def test_star_imports_name_their_module():
    assert analyse("from pylab import *").star_imports == {"pylab"}


def test_strings_are_listed_once_and_long_ones_left_out():
    long = "x" * 10_001
    assert analyse(f"'doc'\nf('a', 'b', 'a', {long!r}, f'c{{d}}')").strings == ("a", "b", "c")


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("duckdb.sql('select a from t')", "select a from t"),
        ("sql('from t')", "from t"),
        ("t = 1; con.execute('from t join u')", "from join u"),
        ("q = 'from t'; con.execute(q)", "from t"),
        ("con.execute(f'from t where {c}')", "from t where"),
        ("f('from t')", ""),
    ],
)
def test_words_of_a_query_may_be_tables(text, names):
    assert analyse(text).sql_names == set(names.split())


def test_magics_are_named():
    text = "get_ipython().run_line_magic('time', 'f()')\nget_ipython().system('ls')"
    assert analyse(text).magics == {"time", "!"}


@pytest.mark.parametrize("text", ["await f()", "async for x in y: pass", "async with a: pass", "[x async for x in y]"])
def test_a_cell_awaits(text):
    assert analyse(text).awaits


@pytest.mark.parametrize("text", ["async def f(): await g()", "x = 1"])
def test_a_cell_does_not_await(text):
    assert not analyse(text).awaits


@pytest.mark.parametrize("text", ["x = = 1", "def f(:", "x = '\0'", "(" * 300])
def test_text_that_does_not_parse_says_why(text):
    facts = analyse(text)
    assert facts.error
    assert facts == CellFacts(source_hash(text), error=facts.error)


def test_the_hash_ignores_layout_and_comments():
    assert source_hash("x = f( 1,\n  2)  # why\n\n") == source_hash("x=f(1,2)")
    assert source_hash("x = 'a'") == source_hash('x = "a"')


@pytest.mark.parametrize(
    "other", ["x = f(1, 3)", "x = f(2, 1)", "y = f(1, 2)", "x = f(1, '2')", "x = f(1, 2.0)", "f(1, 2)"]
)
def test_the_hash_tells_code_apart(other):
    assert source_hash("x = f(1, 2)") != source_hash(other)


def test_the_hash_of_text_that_does_not_parse_ignores_blanks_around_it():
    assert source_hash("  x = = 1\n") == source_hash("x = = 1")
    assert source_hash("x = = 1") != source_hash("x = = 2")


def test_the_hash_stays_the_same_across_versions_of_python():
    assert source_hash("def f(a, *, b=None):\n    return [a, f'{b}']") == "4ed7b61542c97d6c953fef08b18eeef0"


def test_no_warning_comes_out_of_looking_at_a_cell():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert analyse(r"x = '\d'").error is None


def test_code_facts_of_a_live_function():
    space: dict[str, object] = {}
    text = """
        def f(p, q=1):
            global s
            import m.n
            s = k + [r for r in p]
            def g(): return h(p, s.total, "a.csv")
            class A:
                def m(self): return z
            return g, df.query("a > @limit")
    """
    exec(textwrap.dedent(text), space)
    facts = code_facts(space["f"].__code__)
    assert facts.loads - {"__name__"} == {"k", "h", "z", "s", "df", "limit"}
    assert facts.stores == {"s"}
    assert facts.imports == {"m.n"}
    assert facts.attributes == {"total", "query"}
    assert "a.csv" in facts.strings
    assert {"a", "limit"} <= facts.sql_names
    assert not facts.dynamic
    assert code_facts(space["f"].__code__) is facts


@pytest.mark.parametrize(
    "body",
    ["eval(x)", "globals()", "get_ipython()", "__import__('__main__')", "f.__globals__", "[exec(y) for y in x]"],
)
def test_code_of_a_function_that_could_do_anything(body):
    assert code_facts(compile(f"def f(): {body}", "<test>", "exec")).dynamic


def test_code_of_a_module_binds_its_variables():
    facts = code_facts(compile("x = y\ndel z", "<test>", "exec"))
    assert (facts.loads, facts.stores, facts.deletes) == ({"y"}, {"x"}, {"z"})
