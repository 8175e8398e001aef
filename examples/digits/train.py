"""Learn to read handwritten digits: 1797 scans of 8x8 pixels that come with scikit-learn."""

import joblib
from sklearn.datasets import load_digits
from sklearn.metrics import accuracy_score
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier

from shipway import log_metrics, output_dir, params

settings = params(epochs=20, hidden=64, seed=0)

x, y = load_digits(return_X_y=True)
x_train, x_test, y_train, y_test = train_test_split(
    x / 16, y, test_size=0.25, stratify=y, random_state=settings["seed"]
)

model = MLPClassifier((settings["hidden"],), learning_rate_init=0.01, random_state=settings["seed"])
for epoch in range(settings["epochs"]):
    model.partial_fit(x_train, y_train, classes=range(10))
    accuracy = accuracy_score(y_test, model.predict(x_test))
    log_metrics(step=epoch, loss=model.loss_, accuracy=accuracy)

joblib.dump(model, output_dir() / "model.joblib")
print(f"accuracy on {len(y_test)} digits that it has not seen: {accuracy:.3f}")
