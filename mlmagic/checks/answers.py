"""The step before a rule: a model and its data come in; the rows as a data frame and the answers as an array go out."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlmagic._optional import loaded
from mlmagic.errors import MisuseError
from mlmagic.tables import table_of


def frame_of(data: Any, name: str = "X") -> Any:
    """The rows as a pandas data frame; a frame is itself.

    Raises
    ------
    MisuseError
        It is no table, or has no rows.
    """
    import pandas as pd

    if isinstance(data, pd.DataFrame):
        frame = data
    elif isinstance(data, (list, np.ndarray)) and np.ndim(data[:1]) == 1 and not isinstance(next(iter(data), 0), dict):
        frame = pd.DataFrame({"input": data})  # texts, or whatever else a model takes one by one
    else:
        frame = table_of(data).to_pandas()
    if not len(frame):
        raise MisuseError(f"{name} has no rows to check")
    return frame


def answers_of(model: Any, data: Any, rows: int, *, name: str = "model", data_name: str = "X") -> NDArray[Any]:
    """What a model says of its data: `predict_proba` where it has one, else `predict`; a function's own answer.

    Returns
    -------
    array
        First axis: the rows.

    Raises
    ------
    MisuseError
        It cannot be asked, failed, or did not answer row by row; one line.
    """
    ask = next((found for how in ("predict_proba", "predict") if callable(found := getattr(model, how, None))), model)
    if isinstance(model, type) or not callable(ask):
        kind = "a class" if isinstance(model, type) else f"a {type(model).__qualname__}"
        raise MisuseError(f"{name} is {kind}: a model with predict_proba or predict is expected, or a function")
    try:
        answers = _as_array(ask(data))
    except Exception as error:
        first = (str(error).strip().splitlines() or [""])[0]
        raise MisuseError(f"{name} failed on {data_name}: {type(error).__qualname__}: {first}"[:300]) from error
    if answers.ndim == 0 or len(answers) != rows:
        raise MisuseError(f"{name} gave answers of shape {answers.shape} for {rows:,} rows of {data_name}")
    return answers


def _as_array(answers: Any) -> NDArray[Any]:
    torch = loaded("torch")
    if torch is not None and isinstance(answers, torch.Tensor):
        answers = answers.detach().cpu()
    return np.asarray(answers)
