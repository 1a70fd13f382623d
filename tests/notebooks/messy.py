"""Notebooks as people leave them, on public data: re-used names, in-place changes, plots, files, helper functions.

Each is a list of cell texts; `DATA` in a text stands for the folder of the data. Beside it: variables whose slice must
rebuild them, exactly.
"""

from __future__ import annotations

TITANIC = (
    [
        "import pandas as pd\nimport numpy as np\nimport matplotlib.pyplot as plt\n%matplotlib inline",
        "train = pd.read_csv('DATA/titanic.csv')\ntrain.head()",
        "train.info()",
        "train.isnull().sum().sort_values(ascending=False).head(5)",
        "train.columns = [c.lower() for c in train.columns]\ncols = list(train.columns)",
        "plt.hist(train['age'].dropna(), bins=20)\nplt.title('age');",
        "train['title'] = train['name'].str.extract(r' ([A-Za-z]+)\\.', expand=False)\ntrain['title'].value_counts()[:5]",
        "rare = train['title'].value_counts()\nrare = rare[rare < 10].index\n"
        "train.loc[train['title'].isin(rare), 'title'] = 'Rare'",
        "def fill_age(row, medians):\n    return medians[row['title']] if np.isnan(row['age']) else row['age']",
        "medians = train.groupby('title')['age'].median()\n"
        "train['age'] = train.apply(lambda row: fill_age(row, medians), axis=1)",
        "for c in ['sex', 'embarked', 'title']:\n    train[c] = train[c].astype('category').cat.codes",
        "train.drop(['name', 'ticket', 'cabin'], axis=1, inplace=True, errors='ignore')\ntrain.fillna(0, inplace=True)",
        "df = train   # an alias, as it happens\ndf['family'] = df['sibsp'] + df['parch'] + 1",
        "print(train.shape)\ntrain.describe().T[['mean', 'std']].round(2)",
        "from sklearn.linear_model import LogisticRegression\nfrom sklearn.model_selection import cross_val_score\n"
        "features = [c for c in train.columns if c not in ('survived', 'passengerid')]\n"
        "X, y = train[features], train['survived']",
        "model = LogisticRegression(max_iter=2000)\nscores = cross_val_score(model, X, y, cv=5)\nscores.mean().round(3)",
        "model.fit(X, y)\nimportance = sorted(zip(features, model.coef_[0]), key=lambda t: -abs(t[1]))\nimportance[:3]",
        "train[['survived', 'age']].to_csv('submission.csv', index=False)\n!ls submission.csv",
        "try:\n    model.nothing\nexcept AttributeError as e:\n    print('as expected:', e)",
        "best = importance[0][0]\nbest",
    ],
    ("train", "model", "importance", "best", "scores"),
)

HOUSING = (
    [
        "%time import pandas as pd, numpy as np, random",
        "housing = pd.read_csv('DATA/housing.csv')\nnp.random.seed(42)\nrandom.seed(1)",
        "def split(data, share):\n    order = np.random.permutation(len(data))\n    n = int(len(data) * share)\n"
        "    return data.iloc[order[n:]].copy(), data.iloc[order[:n]].copy()",
        "train, test = split(housing, .2)\nlen(train), len(test)",
        "housing = train.drop('median_house_value', axis=1)\nlabels = train['median_house_value'].copy()",
        "housing['rooms_per_household'] = housing['total_rooms'] / housing['households']\nhousing.corr(numeric_only=True).shape",
        "class Adder:\n    def __init__(self, bedrooms=True):\n        self.bedrooms = bedrooms\n"
        "    def fit(self, X, y=None):\n        self.median_ = X['total_bedrooms'].median()\n        return self\n"
        "    def transform(self, X):\n        X = X.copy()\n"
        "        X['total_bedrooms'] = X['total_bedrooms'].fillna(self.median_)\n        return X",
        "adder = Adder()\nprepared = adder.fit(housing).transform(housing)",
        "from sklearn.pipeline import Pipeline\nfrom sklearn.compose import ColumnTransformer\n"
        "from sklearn.preprocessing import StandardScaler, OneHotEncoder\nfrom sklearn.linear_model import Ridge\n"
        "num = [c for c in prepared.columns if c != 'ocean_proximity']\n"
        "pipe = Pipeline([('prep', ColumnTransformer([('n', StandardScaler(), num), "
        "('c', OneHotEncoder(), ['ocean_proximity'])])), ('ridge', Ridge(alpha=1.0))])",
        "pipe.fit(prepared, labels)\nrmse = float(np.sqrt(((pipe.predict(prepared) - labels) ** 2).mean()))\nround(rmse, -3)",
        "results = {}\nfor alpha in (0.1, 1, 10):\n    pipe.set_params(ridge__alpha=alpha)\n    pipe.fit(prepared, labels)\n"
        "    results[alpha] = pipe.score(prepared, labels)\nbest = max(results, key=results.get)",
        "pipe.set_params(ridge__alpha=best).fit(prepared, labels);",
        "sample = prepared.sample(5, random_state=random.randint(0, 100))\nguesses = pipe.predict(sample).tolist()\nguesses[:2]",
        "noise = np.random.normal(size=3)\nnoise.round(2)",
        "import pickle\nwith open('model.pkl', 'wb') as f:\n    pickle.dump(results, f)\n"
        "with open('model.pkl', 'rb') as f:\n    again = pickle.load(f)\nagain == results",
        "del train, test",
    ],
    ("pipe", "guesses", "noise", "again", "adder"),
)

BIKES = (
    [
        "import pandas as pd\nimport numpy as np\nfrom collections import defaultdict\nPATH = 'DATA/'",
        "bikes = pd.read_csv(PATH + 'bike-sharing-daily.csv', parse_dates=['dteday'])\nbikes.set_index('dteday', inplace=True)",
        "monthly = bikes['cnt'].resample('MS').agg(['sum', 'mean'])\nmonthly.tail(2)",
        "lags = defaultdict(list)\ndef lag(name, k):\n    lags[name].append(k)\n    bikes[f'{name}_lag{k}'] = bikes[name].shift(k)",
        "for k in (1, 7):\n    lag('cnt', k)\nlag('temp', 1)",
        "bikes = bikes.dropna()\nlen(bikes)",
        "x = bikes['temp'].to_numpy(copy=True)\nview = x[::2]\nview *= 2\nx[:4].round(3)",
        "weights = np.linspace(0, 1, len(x))\nweighted = (x * weights).sum()",
        "counter = 0\ndef bump():\n    global counter\n    counter += len(lags)\n    return counter",
        "[bump() for _ in range(3)]",
        "%%capture out\nprint('quiet')\nquiet = counter * 2",
        "bikes.query('temp > @weighted / 1000 and season == 1')['cnt'].mean().round(1)",
        "summary = {season: group['cnt'].mean() for season, group in bikes.groupby('season')}\nsummary",
        "_ and max(_.values())",
        "top = _",
    ],
    ("bikes", "lags", "x", "view", "counter", "summary", "quiet", "weighted", "top"),
)

NOTEBOOKS = {"titanic": TITANIC, "housing": HOUSING, "bikes": BIKES}
