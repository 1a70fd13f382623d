"""Cell text as it is stored: literals of secrets blanked out, everything else as typed."""

from __future__ import annotations

import pytest

from mlmagic.analysis import redact

BLANK = '"<secret>"'


@pytest.mark.parametrize(
    ("typed", "stored"),
    [
        ("password = 'hunter2'", f"password = {BLANK}"),
        ("db_passwd: str = 'x'", f"db_passwd: str = {BLANK}"),
        ("api_key = 'abc'", f"api_key = {BLANK}"),
        ("os.environ['AWS_SECRET_ACCESS_KEY'] = 'abc'", f"os.environ['AWS_SECRET_ACCESS_KEY'] = {BLANK}"),
        ("os.environ.setdefault('HF_TOKEN', 'hf_x')", f"os.environ.setdefault('HF_TOKEN', {BLANK})"),
        ("login(user='me', password='x')", f"login(user='me', password={BLANK})"),
        ("config = {'user': 'me', 'secret': 'x'}", f"config = {{'user': 'me', 'secret': {BLANK}}}"),
        ("self.client_secret = b'x'", f"self.client_secret = {BLANK}"),
        ("token = 'ghp_16C7e42F292c6912E7'", f"token = {BLANK}"),
        ("if (password := 'x'): pass", f"if (password := {BLANK}): pass"),
        ("a = 1; passwords = ['x', 'y']; b = 2", f"a = 1; passwords = [{BLANK}, {BLANK}]; b = 2"),
        ("größe = 'ä'; password = 'ü'  # ß", f"größe = 'ä'; password = {BLANK}  # ß"),
        ("%%time\npassword = 'x'\n!ls", f"%%time\npassword = {BLANK}\n!ls"),
    ],
)
def test_a_secret_is_not_stored(typed, stored):
    assert redact(typed) == stored


@pytest.mark.parametrize(
    "typed",
    [
        "df.sort_values(key='age')",
        "key = 'passengerid'",
        "tokenizer = 'bert-base-uncased'",
        "pad_token = '<pad>'",
        "keys = ['a', 'b']",
        "df.merge(other, on='primary_key')",
        "password = getpass()",
        "password = ''",
        "print('password = x')",
        "def f(:",
    ],
)
def test_words_that_only_sound_like_secrets_stay(typed):
    assert redact(typed) == typed
