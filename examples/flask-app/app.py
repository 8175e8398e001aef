"""A server of your own: anything that listens on $PORT will do."""

from flask import Flask, jsonify, request

app = Flask(__name__)


@app.get("/")
def hello():
    return 'POST /predict {"input": [1, 2, 3]}\n'


@app.post("/predict")
def predict():
    document = request.get_json(silent=True)
    values = document.get("input") if isinstance(document, dict) else None
    if not isinstance(values, list) or not all(type(one) in (int, float) for one in values):
        return jsonify(error='send {"input": [numbers]}'), 400
    return jsonify(output=[2 * one + 1 for one in values])
