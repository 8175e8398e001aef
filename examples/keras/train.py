"""A small convolutional network in Keras that learns to read digits; saved as `.keras`, and as `.h5` as of old.

Its filters of 3x3 weights glide over the 8x8 pixels (a convolution), the strongest answer of every 2x2 field is
kept (max-pooling), and a softmax layer makes a probability for each digit of them.
"""

import keras
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from shipway import log_metrics, output_dir, params

settings = params(epochs=10, filters=16, seed=0)
keras.utils.set_random_seed(settings["seed"])

scans, digits = load_digits(return_X_y=True)
x_train, x_test, y_train, y_test = train_test_split(
    scans, digits, test_size=0.25, stratify=digits, random_state=settings["seed"]
)

network = keras.Sequential(
    [
        keras.Input((64,), name="pixels"),
        keras.layers.Rescaling(1 / 16),
        keras.layers.Reshape((8, 8, 1)),
        keras.layers.Conv2D(settings["filters"], 3, activation="relu"),
        keras.layers.MaxPooling2D(),
        keras.layers.Flatten(),
        keras.layers.Dense(10, activation="softmax"),
    ]
)
network.compile(keras.optimizers.Adam(0.005), loss="sparse_categorical_crossentropy", metrics=["accuracy"])
network.fit(
    x_train,
    y_train,
    epochs=settings["epochs"],
    validation_data=(x_test, y_test),
    callbacks=[keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: log_metrics(logs, step=epoch))],
    verbose=0,
)

network.save(output_dir() / "model.keras")
network.save(output_dir() / "model.h5")
_, accuracy = network.evaluate(x_test, y_test, verbose=0)
print(f"accuracy on {len(y_test)} digits that it has not seen: {accuracy:.3f}")
