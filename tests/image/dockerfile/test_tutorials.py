"""Dockerfiles as tutorials have them, and what happens with each; written down from memory."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from shipway.errors import Refused
from tests.image.dockerfile.kitchen import Kitchen, asked, files


@dataclass(frozen=True)
class Tutorial:
    text: str
    asked: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    cmd: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()  # lines of the error, or of what to do


FLASK = Tutorial(
    """\
# syntax=docker/dockerfile:1
FROM python:3.8-slim-buster
WORKDIR /python-docker
COPY requirements.txt requirements.txt
RUN pip3 install -r requirements.txt
COPY . .
CMD [ "python3", "-m" , "flask", "run", "--host=0.0.0.0"]
""",
    asked=("flask==3.1.3", "gunicorn"),
    files=("python-docker/app/main.py", "python-docker/requirements.txt"),
    cmd=("python3", "-m", "flask", "run", "--host=0.0.0.0"),
)
FASTAPI = Tutorial(
    """\
FROM python:3.9
WORKDIR /code
COPY ./requirements.txt /code/requirements.txt
RUN pip install --no-cache-dir --upgrade -r /code/requirements.txt
COPY ./app /code/app
CMD ["fastapi", "run", "app/main.py", "--port", "80"]
""",
    asked=("flask==3.1.3", "gunicorn"),
    files=("code/app/main.py", "code/requirements.txt"),
    cmd=("fastapi", "run", "app/main.py", "--port", "80"),
)
GUNICORN = Tutorial(
    """\
FROM python:3.11-alpine
ENV PYTHONDONTWRITEBYTECODE 1
ENV PYTHONUNBUFFERED=1
ARG PORT=8000
WORKDIR /usr/src/app
RUN pip install --upgrade pip
COPY ./requirements.txt .
RUN --mount=type=cache,target=/root/.cache/pip pip install -r requirements.txt
COPY . .
EXPOSE $PORT
CMD gunicorn --bind 0.0.0.0:$PORT app.main:app
""",
    asked=("flask==3.1.3", "gunicorn"),
    files=("usr/src/app/app/main.py", "usr/src/app/requirements.txt"),
    cmd=("/bin/sh", "-c", "gunicorn --bind 0.0.0.0:$PORT app.main:app"),
)
STREAMLIT = Tutorial(
    """\
FROM python:3.9-slim
WORKDIR /app
RUN apt-get update && apt-get install -y \\
    build-essential \\
    curl \\
    && rm -rf /var/lib/apt/lists/*
RUN git clone https://github.com/streamlit/streamlit-example.git .
RUN pip3 install -r requirements.txt
EXPOSE 8501
HEALTHCHECK CMD curl --fail http://localhost:8501/_stcore/health
ENTRYPOINT ["streamlit", "run", "app.py", "--server.port=8501", "--server.address=0.0.0.0"]
""",
    refused=("Dockerfile:3: RUN: apt-get is not run here", "Dockerfile:7: RUN: git is not run here", "line 3: Wheels"),
)
STREAMLIT_WITHOUT_APT = Tutorial(
    """\
FROM python:3.9-slim
WORKDIR /app
COPY . .
RUN pip3 install -r requirements.txt
EXPOSE 8501
HEALTHCHECK CMD curl --fail http://localhost:8501/_stcore/health
ENTRYPOINT ["streamlit", "run", "app.py", "--server.port=8501", "--server.address=0.0.0.0"]
""",
    asked=("flask==3.1.3", "gunicorn"),
    files=("app/app/main.py", "app/requirements.txt"),
)
MLFLOW = Tutorial(
    """\
FROM python:3.11-slim
RUN pip install mlflow==2.9.2 psycopg2-binary boto3
EXPOSE 5000
ENTRYPOINT ["mlflow", "server"]
CMD ["--host", "0.0.0.0", "--backend-store-uri", "sqlite:///mlflow.db"]
""",
    asked=("mlflow==2.9.2", "psycopg2-binary", "boto3"),
    cmd=("--host", "0.0.0.0", "--backend-store-uri", "sqlite:///mlflow.db"),
)
BUILDER = Tutorial(
    """\
FROM python:3.11-slim AS builder
ENV VIRTUAL_ENV=/opt/venv
RUN python3 -m venv $VIRTUAL_ENV
ENV PATH="$VIRTUAL_ENV/bin:$PATH"
COPY requirements.txt .
RUN pip install --no-cache-dir -r requirements.txt

FROM python:3.11-slim AS runtime
ENV PATH="/opt/venv/bin:$PATH"
WORKDIR /app
COPY --from=builder /opt/venv /opt/venv
COPY app ./app
USER 1000
CMD ["gunicorn", "-b", "0.0.0.0:8000", "app.main:app"]
""",
    asked=("flask==3.1.3", "gunicorn"),
    files=("app/app/main.py",),
    cmd=("gunicorn", "-b", "0.0.0.0:8000", "app.main:app"),
)
USER_INSTALL = Tutorial(
    """\
FROM python:3.11 as compile-image
COPY requirements.txt .
RUN pip install --user -r requirements.txt
FROM python:3.11-slim as build-image
COPY --from=compile-image /root/.local /root/.local
COPY app /app
ENV PATH=/root/.local/bin:$PATH
CMD ["/root/.local/bin/gunicorn", "main:app"]
""",
    asked=("flask==3.1.3", "gunicorn"),
    files=("app/main.py",),
    cmd=("/opt/venv/bin/gunicorn", "main:app"),
)
UV_PIP = Tutorial(
    """\
FROM python:3.12-slim
COPY --from=ghcr.io/astral-sh/uv:latest /usr/local/bin/python3.11 /bin/uv
WORKDIR /app
COPY requirements.txt .
RUN uv pip install --system --no-cache -r requirements.txt
COPY app app
CMD ["python", "-m", "app.main"]
""",
    asked=("flask==3.1.3", "gunicorn"),
    files=("app/app/main.py", "app/requirements.txt", "bin/uv"),
    cmd=("python", "-m", "app.main"),
)
UV_SYNC = Tutorial(
    """\
FROM ghcr.io/astral-sh/uv:python3.12-bookworm-slim
WORKDIR /app
RUN --mount=type=cache,target=/root/.cache/uv \\
    --mount=type=bind,source=uv.lock,target=uv.lock \\
    --mount=type=bind,source=pyproject.toml,target=pyproject.toml \\
    uv sync --frozen --no-install-project --no-dev
ADD . /app
ENV PATH="/app/.venv/bin:$PATH"
ENTRYPOINT []
CMD ["fastapi", "dev", "--host", "0.0.0.0", "src/app"]
""",
    refused=("Dockerfile:3: RUN: uv sync reads a project", "uv export --no-dev --no-emit-project -o requirements.txt"),
)
POETRY = Tutorial(
    """\
FROM python:3.11-slim
RUN pip install poetry==1.8.3 && poetry config virtualenvs.create false
COPY pyproject.toml poetry.lock ./
RUN poetry install --no-interaction --no-ansi
""",
    refused=("Dockerfile:2: RUN: poetry is not run here", "Dockerfile:4: RUN: poetry is not", "poetry export"),
)
USERADD = Tutorial(
    """\
FROM python:3.11-slim
RUN useradd -m -u 1000 user
USER user
WORKDIR /home/user/app
COPY --chown=user . .
RUN pip install --no-cache-dir --upgrade -r requirements.txt
CMD ["uvicorn", "app:app", "--host", "0.0.0.0", "--port", "7860"]
""",
    refused=("Dockerfile:2: RUN: useradd is not run here", "USER 10001"),
)
TORCH = Tutorial(
    """\
ARG PYTHON=3.11
FROM python:${PYTHON}-slim
WORKDIR /srv
RUN pip install --no-cache-dir torch --index-url https://download.pytorch.org/whl/cpu
COPY app/main.py .
ENTRYPOINT ["python"]
CMD ["main.py"]
""",
    asked=("torch",),
    files=("srv/main.py",),
    cmd=("main.py",),
)
EVERY = {name: one for name, one in globals().items() if isinstance(one, Tutorial)}


@pytest.mark.parametrize("name", EVERY)
def test_what_happens_with_a_tutorial_s_dockerfile(kitchen: Kitchen, name: str) -> None:
    tutorial = EVERY[name]
    kitchen.write({"requirements.txt": "flask==3.1.3\ngunicorn\n", "app/main.py": "print(1)\n"})
    if tutorial.refused:
        with pytest.raises(Refused) as caught:
            kitchen.prepare(tutorial.text)
        assert [one for one in tutorial.refused if one not in str(caught.value)] == []
        return
    made = kitchen.prepare(tutorial.text)
    assert asked(made) == tutorial.asked
    assert [one for one in files(made) if not one.endswith("Dockerfile")] == sorted(tutorial.files)
    assert (made.recipe.runs.cmd or ()) == tutorial.cmd
