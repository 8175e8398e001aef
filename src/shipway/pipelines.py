"""Pipelines for CI systems, beside a project: build and push its images, then write what a GitOps controller deploys.

No value of a secret is in them: each system gives its own to the steps.
"""

from __future__ import annotations

from pathlib import Path

from shipway import __version__
from shipway.errors import Refused, UserError

FILES = {
    "github": Path(".github/workflows/shipway.yml"),
    "gitlab": Path(".gitlab-ci.yml"),
    "jenkins": Path("Jenkinsfile"),
}


def write(folder: Path, system: str) -> Path:
    """Write the pipeline of ``system``, a key of ``FILES``; its path. Raises Refused where a file is, UserError."""
    if not folder.is_dir():
        raise UserError(f"{folder} is not a folder", next_step="name the folder of the project")
    file = folder / FILES[system]
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("x", encoding="utf-8") as out:
            out.write(text(system))
    except FileExistsError:
        raise Refused(
            f"{file} exists and is not overwritten", next_step="remove it first, or copy from docs/gitops.md"
        ) from None
    except OSError as error:
        raise UserError(f"{file} cannot be written: {error.strerror}") from None
    return file


def text(system: str) -> str:
    """What the file says; it installs the Shipway that wrote it."""
    return _TEXTS[system].replace("@VERSION@", __version__)


_GITHUB = """\
# Made by `shipway init --ci github`; yours from here on. docs/gitops.md says what it does.
name: shipway

on:
  push:
    branches: [main]
    paths-ignore: ["deploy/**"]
  pull_request:

env:
  SHIPWAY_REGISTRY: ghcr.io/${{ github.repository }}
  # More for `shipway render`: where the models of your services are, by digest. `shipway models push` prints it.
  # --model NAME=REF@sha256:...
  RENDER_OPTIONS: ""

jobs:
  build:
    runs-on: ubuntu-latest
    permissions:
      contents: write # the commit of deploy/
      packages: write # the images
    steps:
      - uses: actions/checkout@v4
      - uses: actions/setup-python@v5
        with:
          python-version: "3.12"
      - run: pip install shipway==@VERSION@

      - name: Build the images
        if: github.event_name == 'pull_request'
        run: shipway build

      - name: Log in to the registry
        if: github.event_name == 'push'
        uses: docker/login-action@v3
        with:
          registry: ghcr.io
          username: ${{ github.actor }}
          password: ${{ secrets.GITHUB_TOKEN }}

      - name: Build and push the images, and write what is to be deployed
        if: github.event_name == 'push'
        run: |
          shipway build --push
          shipway render --format kustomize -o deploy $RENDER_OPTIONS

      # Argo CD or Flux takes it from here: let it watch deploy/overlays/production.
      - name: Commit deploy/
        if: github.event_name == 'push'
        run: |
          git config user.name shipway
          git config user.email shipway@users.noreply.github.com
          git add deploy
          git diff --cached --quiet || { git commit -m "Deploy ${GITHUB_SHA}"; git push; }

      # Without GitOps: put a kubeconfig into the secret KUBECONFIG, and in place of the commit
      # - name: Deploy
      #   if: github.event_name == 'push'
      #   env:
      #     KUBECONFIG_TEXT: ${{ secrets.KUBECONFIG }}
      #   run: |
      #     (umask 077; printf '%s' "$KUBECONFIG_TEXT" > "$RUNNER_TEMP/kubeconfig")
      #     kubectl --kubeconfig "$RUNNER_TEMP/kubeconfig" apply --server-side -k deploy/overlays/production
      # A runner of your own that keeps its home between runs may say `shipway up --cluster NAME` instead.
"""

_GITLAB = """\
# Made by `shipway init --ci gitlab`; yours from here on. docs/gitops.md says what it does.
image: python:3.12

stages: [build, deploy]

variables:
  SHIPWAY_REGISTRY: $CI_REGISTRY_IMAGE
  SHIPWAY_HOME: $CI_PROJECT_DIR/.shipway-home
  # More for `shipway render`: where the models of your services are, by digest. `shipway models push` prints it.
  # --model NAME=REF@sha256:...
  RENDER_OPTIONS: ""

check:
  stage: build
  rules:
    - if: $CI_PIPELINE_SOURCE == "merge_request_event"
  script:
    - pip install shipway==@VERSION@
    - shipway build

build:
  stage: build
  rules:
    - if: $CI_COMMIT_BRANCH == $CI_DEFAULT_BRANCH
  before_script:
    # The registry's password reaches Shipway by Docker's own file, which only this job can read.
    - umask 077
    - mkdir -p ~/.docker
    - auth=$(printf '%s:%s' "$CI_REGISTRY_USER" "$CI_REGISTRY_PASSWORD" | base64 -w 0)
    - printf '{"auths":{"%s":{"auth":"%s"}}}' "$CI_REGISTRY" "$auth" > ~/.docker/config.json
  script:
    - pip install shipway==@VERSION@
    - shipway build --push
    - shipway render --format kustomize -o deploy $RENDER_OPTIONS
  artifacts:
    paths: [deploy/]

# Argo CD or Flux takes it from here: let it watch deploy/overlays/production. DEPLOY_TOKEN is a masked variable of the
# project, a project access token that may write the repository.
deploy:
  stage: deploy
  rules:
    - if: $CI_COMMIT_BRANCH == $CI_DEFAULT_BRANCH
  script:
    - git config user.name shipway
    - git config user.email shipway@noreply.example
    - git config credential.helper '!f() { echo username=oauth2; echo "password=$DEPLOY_TOKEN"; }; f'
    - git add deploy
    - git diff --cached --quiet || git commit -m "Deploy $CI_COMMIT_SHA"
    - git push -o ci.skip "$CI_PROJECT_URL.git" "HEAD:$CI_COMMIT_BRANCH"

# Without GitOps: put a kubeconfig into a variable of type File, called KUBECONFIG, and let `deploy` say
#     kubectl apply --server-side -k deploy/overlays/production
# A runner of your own that keeps its home between runs may say `shipway up --cluster NAME` instead.
"""

_JENKINS = """\
// Made by `shipway init --ci jenkins`; yours from here on. docs/gitops.md says what it does.
// Credentials that it asks Jenkins for: `registry` (user name and password), `git` (the same, of the repository).
pipeline {
    agent { docker { image 'python:3.12' } }

    environment {
        SHIPWAY_REGISTRY = 'registry.example.com/team'
        SHIPWAY_HOME = "${WORKSPACE_TMP}/shipway"
        DOCKER_CONFIG = "${WORKSPACE_TMP}/docker"
        // More for `shipway render`: where the models of your services are, by digest. `shipway models push` prints it.
        // --model NAME=REF@sha256:...
        RENDER_OPTIONS = ''
    }

    stages {
        stage('Install') {
            steps {
                sh 'python -m venv "$WORKSPACE_TMP/venv" && "$WORKSPACE_TMP/venv/bin/pip" install shipway==@VERSION@'
            }
        }
        stage('Build') {
            when { not { branch 'main' } }
            steps {
                sh '"$WORKSPACE_TMP/venv/bin/shipway" build'
            }
        }
        stage('Build and push') {
            when { branch 'main' }
            steps {
                withCredentials([usernamePassword(credentialsId: 'registry',
                                                  usernameVariable: 'REGISTRY_USER',
                                                  passwordVariable: 'REGISTRY_PASSWORD')]) {
                    sh '''
                        umask 077
                        mkdir -p "$DOCKER_CONFIG"
                        auth=$(printf '%s:%s' "$REGISTRY_USER" "$REGISTRY_PASSWORD" | base64 -w 0)
                        printf '{"auths":{"%s":{"auth":"%s"}}}' "${SHIPWAY_REGISTRY%%/*}" "$auth" \\
                            > "$DOCKER_CONFIG/config.json"
                        "$WORKSPACE_TMP/venv/bin/shipway" build --push
                        "$WORKSPACE_TMP/venv/bin/shipway" render --format kustomize -o deploy $RENDER_OPTIONS
                    '''
                }
            }
        }
        // Argo CD or Flux takes it from here: let it watch deploy/overlays/production.
        stage('Commit deploy/') {
            when { branch 'main' }
            steps {
                withCredentials([gitUsernamePassword(credentialsId: 'git')]) {
                    sh '''
                        git config user.name shipway
                        git config user.email shipway@noreply.example
                        git add deploy
                        git diff --cached --quiet || git commit -m "Deploy $GIT_COMMIT"
                        git push origin "HEAD:$BRANCH_NAME"
                    '''
                }
            }
        }
        // Without GitOps: put a kubeconfig into a credential of type "Secret file", and in place of the commit
        //     withCredentials([file(credentialsId: 'kubeconfig', variable: 'KUBECONFIG')]) {
        //         sh 'kubectl apply --server-side -k deploy/overlays/production'
        //     }
        // An agent that keeps its home between runs may say `shipway up --cluster NAME` instead.
    }
    post {
        always {
            sh 'rm -rf "$DOCKER_CONFIG"'
        }
    }
}
"""

_TEXTS = {"github": _GITHUB, "gitlab": _GITLAB, "jenkins": _JENKINS}
