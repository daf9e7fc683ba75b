# Models of ai.onnx.ml: trees, linear models, support vectors, features. Used by schedule.py --cases.
# Licensed under Apache-2.0 WITH LLVM-exception.
import numpy as np

from tracer import Graph

ML = "ai.onnx.ml:3"
MODES = {"BRANCH_LEQ": np.less_equal, "BRANCH_LT": np.less, "BRANCH_GTE": np.greater_equal,
         "BRANCH_GT": np.greater, "BRANCH_EQ": np.equal, "BRANCH_NEQ": np.not_equal}


class Trees:
    """Random trees, as attributes and as a function of numpy."""

    def __init__(self, seed, count, depth, features, targets, modes=("BRANCH_LEQ",), missing=False,
                 all_targets=False, positive=False):
        self.random = np.random.default_rng(seed)
        self.features, self.targets, self.modes = features, targets, modes
        self.missing, self.all_targets, self.positive = missing, all_targets, positive
        self.trees = [self._grow(tree, depth) for tree in range(count)]

    def _grow(self, tree, depth):
        nodes = []

        def build(left):
            place = len(nodes)
            nodes.append({"mode": "LEAF", "feature": 0, "value": 0.0, "true": 0, "false": 0,
                          "missing": 0, "weights": {}})
            if left == 0 or (left < depth and self.random.random() < 0.2):
                for target in range(self.targets) if self.all_targets else [tree % self.targets]:
                    weight = self.random.normal() / 2
                    nodes[place]["weights"][target] = float(np.float32(
                        abs(weight) if self.positive else weight))
                return place
            nodes[place].update(mode=str(self.random.choice(self.modes)),
                                feature=int(self.random.integers(self.features)),
                                value=float(self.random.integers(-2, 3)) / 2,
                                missing=int(self.missing and self.random.integers(2)))
            nodes[place]["true"] = build(left - 1)
            nodes[place]["false"] = build(left - 1)
            return place
        build(depth)
        return nodes

    def attributes(self, prefix):
        flat = [(tree, i, node) for tree, nodes in enumerate(self.trees)
                for i, node in enumerate(nodes)]
        weights = [(tree, i, target, weight) for tree, i, node in flat
                   for target, weight in node["weights"].items()]
        result = {"nodes_treeids": [tree for tree, _, _ in flat],
                  "nodes_nodeids": [i for _, i, _ in flat],
                  "nodes_modes": [node["mode"] for _, _, node in flat],
                  "nodes_featureids": [node["feature"] for _, _, node in flat],
                  "nodes_values": [node["value"] for _, _, node in flat],
                  "nodes_truenodeids": [node["true"] for _, _, node in flat],
                  "nodes_falsenodeids": [node["false"] for _, _, node in flat],
                  f"{prefix}_treeids": [weight[0] for weight in weights],
                  f"{prefix}_nodeids": [weight[1] for weight in weights],
                  f"{prefix}_ids": [weight[2] for weight in weights],
                  f"{prefix}_weights": [weight[3] for weight in weights]}
        if self.missing:
            result["nodes_missing_value_tracks_true"] = [node["missing"] for _, _, node in flat]
        return result

    def values(self, rows):
        """What each tree gives for each row and target."""
        result = np.zeros((len(rows), len(self.trees), self.targets))
        for i, row in enumerate(np.asarray(rows, np.float32)):
            for t, nodes in enumerate(self.trees):
                node = nodes[0]
                while node["mode"] != "LEAF":
                    x = row[node["feature"]]
                    goes = MODES[node["mode"]](x, np.float32(node["value"]))
                    goes = goes or (node["missing"] and np.isnan(x))
                    node = nodes[node["true" if goes else "false"]]
                for target, weight in node["weights"].items():
                    result[i, t, target] = weight
        return result


def softmax(x):
    powers = np.exp(x - x.max(1, keepdims=True, initial=-np.inf))
    return powers / powers.sum(1, keepdims=True)


def logistic(x):
    return 1 / (1 + np.exp(-x))


def rows(g, count, features, missing=False):
    values = g.random.integers(-4, 5, (count, features)) / 2
    if missing:
        values = np.where(g.random.random(values.shape) < 0.2, np.nan, values)
    return g.given(values.astype("float64"))


def tree_regressors():
    g = Graph("tree_regressors", 3)
    combine = {"SUM": lambda v: v.sum(1), "AVERAGE": lambda v: v.mean(1),
               "MIN": lambda v: v.min(1), "MAX": lambda v: v.max(1)}
    case = 0
    for count, depth in ((1, 1), (5, 3), (7, 9), (130, 4)):
        for targets, everywhere in ((1, False), (3, False), (3, True)):
            for aggregate, function in combine.items():
                if not everywhere and targets > 1 and aggregate in ("MIN", "MAX"):
                    continue  # targets without a value in some tree
                case += 1
                modes = list(MODES) if case % 2 else ["BRANCH_LEQ"]
                trees = Trees(case, count, depth, 1 + case % 5, targets, modes,
                              missing=case % 3 == 0, all_targets=everywhere)
                x = rows(g, (1, 2, 0, 17)[case % 4], trees.features, case % 2 == 1)
                base = [0.25 * (i + 1) for i in range(targets)] if case % 4 == 1 else []
                expected = function(trees.values(x.array)) + (base or 0)
                attributes = trees.attributes("target")
                if base:
                    attributes["base_values"] = base
                with g.case(f"trees_{count}_{depth}_{targets}_{aggregate}_{case}"):
                    g.output(g.node("TreeEnsembleRegressor", expected, x, domain=ML,
                                    n_targets=targets, aggregate_function=aggregate, **attributes))
    return g


def tree_classifiers():
    g = Graph("tree_classifiers", 4)
    functions = {"NONE": lambda x: x, "SOFTMAX": softmax, "LOGISTIC": logistic}
    labels = [30, 10, 20]
    for case, post in enumerate(list(functions) * 2):
        trees = Trees(40 + case, 6 + case, 4, 4, 3, list(MODES), all_targets=case % 2 == 0)
        x = rows(g, 9, 4)
        scores = trees.values(x.array).sum(1)
        with g.case(f"classes_{case}_{post}"):
            for result in g.nodes("TreeEnsembleClassifier",
                                  [np.array(labels)[scores.argmax(1)], functions[post](scores)], x,
                                  domain=ML, classlabels_int64s=labels, post_transform=post,
                                  **trees.attributes("class")):
                g.output(result)
    # Two classes of which only the first has weights: its score is that of the second.
    for positive in (True, False):
        for post in ("NONE", "LOGISTIC", "SOFTMAX"):
            trees = Trees(60 + positive, 4, 3, 2, 1, positive=positive)
            x = rows(g, 11, 2)
            score = trees.values(x.array).sum(1)
            wins = (score > (0.5 if positive else 0)).astype(np.int64)
            scores = np.concatenate([1 - score if positive else -score, score], 1)
            if post == "LOGISTIC":
                scores = logistic(np.concatenate([-score, score], 1))
            with g.case(f"two_{positive}_{post}"):
                for result in g.nodes("TreeEnsembleClassifier",
                                      [np.array([7, -7])[wins[:, 0]], scores], x, domain=ML,
                                      classlabels_int64s=[7, -7], post_transform=post,
                                      **trees.attributes("class")):
                    g.output(result)
    return g


def dynamic_trees(batch):
    g = Graph("dynamic_trees", 5, batch=batch)
    trees = Trees(70, 20, 10, 6, 2, list(MODES), missing=True, all_targets=True)
    x = g.input("batch", 6)
    result = g.node("TreeEnsembleRegressor", trees.values(x.array).sum(1), x, domain=ML,
                    n_targets=2, **trees.attributes("target"))
    g.output(result, ["batch", 2])
    return g


def members():
    """Version 5: sets, and branches that share their children."""
    g = Graph("members", 6)
    for dtype in ("float32",):
        x = g.given(np.array([[0.0], [1], [2], [3], [4], [5], [np.nan], [-1]]))
        inside = np.isin(x.array, [4.0, 1.0, 3.0])
        with g.case(f"set_{dtype}"):
            g.output(g.node(
                "TreeEnsemble", np.where(inside, 5.0, -2.0), x, domain="ai.onnx.ml:5", n_targets=1,
                nodes_modes=np.array([6], np.uint8), nodes_splits=np.zeros(1, dtype),
                membership_values=np.array([4, 1, 3, np.nan], dtype), nodes_featureids=[0],
                nodes_truenodeids=[0], nodes_falsenodeids=[1], nodes_trueleafs=[1],
                nodes_falseleafs=[1], leaf_targetids=[0, 0],
                leaf_weights=np.array([5, -2], dtype), tree_roots=[0]))
    return g


def linear():
    g = Graph("linear", 7)
    for features, targets in ((1, 1), (5, 1), (4, 3), (17, 33)):
        weights = g.weights.uniform(-1, 1, (targets, features)).astype("float32")
        bias = g.weights.uniform(-1, 1, targets).astype("float32")
        floats = {"coefficients": [float(v) for v in weights.ravel()],
                  "intercepts": [float(v) for v in bias]}
        with g.case(f"linear_{features}_{targets}"):
            x = g.input(6, features)
            scores = x.array @ weights.T.astype("float64") + bias
            g.output(g.node("LinearRegressor", scores, x, domain="ai.onnx.ml:1", targets=targets,
                            **floats))
            labels = list(range(100, 100 + max(2, targets)))
            if targets == 1:
                best = (scores[:, 0] > 0).astype(np.int64)
                expected = logistic(np.concatenate([-scores, scores], 1))
            else:
                best, expected = scores.argmax(1), softmax(scores)
            for result in g.nodes("LinearClassifier", [np.array(labels)[best], expected], x,
                                  domain="ai.onnx.ml:1", classlabels_ints=labels,
                                  post_transform="LOGISTIC" if targets == 1 else "SOFTMAX",
                                  **floats):
                g.output(result)
    return g


def coupled(pairwise):
    """Probabilities of three classes from those of 0 against 1, 0 against 2, 1 against 2; an
    iteration that ends at an error of 0.005 / 3."""
    r = np.zeros((3, 3))
    r[[0, 0, 1], [1, 2, 2]] = np.clip(pairwise, 1e-7, 1 - 1e-7)
    r += np.tril(1 - r.T, -1)
    q = -r * r.T + np.diag((r**2).sum(0))
    p = np.full(3, 1 / 3)
    for _ in range(100):
        qp = q @ p
        pqp = p @ qp
        if np.abs(qp - pqp).max() < 0.005 / 3:
            break
        for i in range(3):
            step = (pqp - qp[i]) / q[i, i]
            p[i] += step
            pqp = (pqp + step * (step * q[i, i] + 2 * qp[i])) / (1 + step)**2
            qp = (qp + step * q[i]) / (1 + step)
            p /= 1 + step
    return p


def support_vectors():
    g = Graph("support_vectors", 8)
    gamma, shift, degree = 0.5, 0.25, 3.0
    kernels = {"LINEAR": lambda x, s: x @ s.T,
               "POLY": lambda x, s: (gamma * (x @ s.T) + shift)**degree,
               "RBF": lambda x, s: np.exp(-gamma * ((x[:, None] - s[None])**2).sum(2)),
               "SIGMOID": lambda x, s: np.tanh(gamma * (x @ s.T) + shift)}
    for kind, kernel in kernels.items():
        per_class = [2, 1, 3]
        vectors = g.weights.uniform(-1, 1, (6, 4)).astype("float32")
        weights = g.weights.uniform(-1, 1, (2, 6)).astype("float32")
        rho = g.weights.uniform(-1, 1, 3).astype("float32")
        attributes = {"kernel_type": kind, "kernel_params": [gamma, shift, degree],
                      "support_vectors": [float(v) for v in vectors.ravel()]}
        with g.case(f"svm_{kind}"):
            x = g.input(5, 4)
            similar = kernel(x.array, vectors.astype("float64"))
            g.output(g.node("SVMRegressor", similar @ weights[:1].T.astype("float64") + rho[0], x,
                            domain="ai.onnx.ml:1", n_supports=6, rho=[float(rho[0])],
                            coefficients=[float(v) for v in weights[0]], **attributes))
            starts = np.cumsum([0] + per_class)
            scores, votes = [], np.zeros((5, 3))
            for i in range(3):
                for j in range(i + 1, 3):
                    a, b = slice(*starts[i:i + 2]), slice(*starts[j:j + 2])
                    score = similar[:, a] @ weights[j - 1, a] + similar[:, b] @ weights[i, b]
                    score = score + rho[len(scores)]
                    scores.append(score)
                    votes[:, i] += score > 0
                    votes[:, j] += score <= 0
            for result in g.nodes("SVMClassifier",
                                  [np.array([3, 1, 2])[votes.argmax(1)], np.stack(scores, 1)], x,
                                  domain="ai.onnx.ml:1", classlabels_ints=[3, 1, 2],
                                  vectors_per_class=per_class, rho=[float(v) for v in rho],
                                  coefficients=[float(v) for v in weights.ravel()], **attributes):
                g.output(result)
            slopes, offsets = g.weights.uniform(-2, 2, (2, 3)).astype("float32")
            lines = np.stack(scores, 1) * slopes + offsets
            results = [np.array([3, 1, 2])[votes.argmax(1)],
                       np.stack([coupled(1 / (1 + np.exp(line))) for line in lines])]
            for result in g.nodes("SVMClassifier", results, x, domain="ai.onnx.ml:1",
                                  classlabels_ints=[3, 1, 2], vectors_per_class=per_class,
                                  rho=[float(v) for v in rho],
                                  prob_a=[float(v) for v in slopes],
                                  prob_b=[float(v) for v in offsets],
                                  coefficients=[float(v) for v in weights.ravel()], **attributes):
                g.output(result)
    return g


def features():
    g = Graph("features", 9)
    one = "ai.onnx.ml:1"
    with g.case("scaler"):
        x = g.input(3, 2)
        g.output(g.node("Scaler", (x.array - [0.5, -1]) * [2, 3], x, domain=one,
                        offset=[0.5, -1.0], scale=[2.0, 3.0]))
        x = g.input(2, 3, dtype="int64")
        g.output(g.node("Scaler", (x.array - 0.5) * 2, x, domain=one, offset=[0.5], scale=[2.0]))
    sizes = {"MAX": lambda v: v.max(1, keepdims=True),
             "L1": lambda v: np.abs(v).sum(1, keepdims=True),
             "L2": lambda v: np.sqrt((v * v).sum(1, keepdims=True))}
    for norm, size in sizes.items():
        with g.case(f"normalizer_{norm}"):
            array = np.array([[1.0, 2, 0.5], [0, 0, 0], [-3, 4, -1]])
            divisor = size(array)
            g.output(g.node("Normalizer", array / np.where(divisor == 0, 1, divisor),
                            g.given(array), domain=one, norm=norm))
    with g.case("binarizer"):
        x = g.input(2, 5)
        g.output(g.node("Binarizer", (x.array > np.float32(0.1)).astype("float64"), x, domain=one,
                        threshold=0.1))
        x = g.input(7, dtype="int32")
        g.output(g.node("Binarizer", (x.array > 1.5).astype("int32"), x, domain=one, threshold=1.5))
    with g.case("imputer"):
        array = np.array([[1.0, np.nan], [np.nan, 2], [3, 4]])
        g.output(g.node("Imputer", np.where(np.isnan(array), [7, 8], array), g.given(array),
                        domain=one, imputed_value_floats=[7.0, 8.0],
                        replaced_value_float=float("nan")))
        array = np.array([[1, 2], [2, 3]])
        g.output(g.node("Imputer", np.where(array == 2, 9, array), g.given(array), domain=one,
                        imputed_value_int64s=[9], replaced_value_int64=2))
    with g.case("feature_vectorizer"):
        a, b = g.input(2, 3), g.input(2, 2, dtype="int64")
        expected = np.concatenate([a.array[:, :2], b.array, np.zeros((2, 1))], 1)
        g.output(g.node("FeatureVectorizer", expected.astype("float64"), a, b, domain=one,
                        inputdimensions=[2, 3]))
    with g.case("array_feature_extractor"):
        x = g.input(3, 5)
        g.output(g.node("ArrayFeatureExtractor", x.array[:, [4, 0, 4]], x, g.ints([[4, 0, 4]]),
                        domain=one))
    return g


def categories():
    g = Graph("categories", 10)
    one = "ai.onnx.ml:1"
    values = np.array([[5, -3, 100], [7, 0, 6]])
    with g.case("one_hot"):
        table = [7, 5, 0]
        expected = (values[..., None] == table).astype("float64")
        g.output(g.node("OneHotEncoder", expected, g.given(values), domain=one, cats_int64s=table,
                        zeros=1))
    with g.case("labels"):
        keys, to = [7, -3, 5, 6], [1.5, 2.5, -1.0, 0.25]
        expected = np.vectorize(dict(zip(keys, to)).get)(values, -9.0).astype("float64")
        g.output(g.node("LabelEncoder", expected, g.given(values), domain="ai.onnx.ml:2",
                        keys_int64s=keys, values_floats=to, default_float=-9.0))
        x = np.array([1.5, np.nan, -1, 0, 3])
        expected = np.array([10, 20, -1, 30, -1])
        g.output(g.node("LabelEncoder", expected, g.given(x), domain="ai.onnx.ml:2",
                        keys_floats=[1.5, float("nan"), 0.0], values_int64s=[10, 20, 30],
                        default_int64=-1))
    for count in (1, 2, 3, 8, 100):
        with g.case(f"labels_{count}"):
            keys = g.weights.permutation(4 * count)[:count]
            x = g.given(g.random.integers(-2, 4 * count + 2, (3, 7)))
            table = {int(key): i for i, key in enumerate(keys)}
            expected = np.vectorize(lambda v, t=table: t.get(int(v), -5))(x.array)
            g.output(g.node("LabelEncoder", expected, x, domain="ai.onnx.ml:2", default_int64=-5,
                            keys_int64s=[int(key) for key in keys],
                            values_int64s=list(range(count))))
    return g


STATIC = [tree_regressors, tree_classifiers, members, linear, support_vectors, features, categories]
DYNAMIC = [(dynamic_trees, [{"batch": 1}, {"batch": 33}, {"batch": 0}])]
