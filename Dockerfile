# visplay with DeepSpeed, for NVIDIA GPUs. Models, images and runs are mounted, not copied; see docs/launching.md.
#
#   docker build -t visplay .
#   docker run --rm --gpus all --ipc=host visplay python tools/doctor.py
#   docker run --rm visplay python tools/evolve.py recipes/smoke.yaml      # a smoke test: the whole loop, on the CPU
#   docker run --rm visplay python tools/evolve.py recipes/tiny.yaml       # what `make demo` does
#
# The image has nvcc because DeepSpeed's offload compiles; its CUDA is the one that torch is built with.
FROM nvidia/cuda:13.2.1-devel-ubuntu24.04

RUN apt-get update \
    && apt-get install --yes --no-install-recommends python3 python3-dev python3-venv g++ ninja-build pdsh openssh-client \
    && rm -rf /var/lib/apt/lists/*

RUN python3 -m venv /opt/visplay
ENV PATH=/opt/visplay/bin:$PATH CUDA_HOME=/usr/local/cuda PYTHONUNBUFFERED=1 \
    HF_HOME=/cache HF_HUB_OFFLINE=1 OMP_NUM_THREADS=1

WORKDIR /visplay
COPY constraints.txt ./
# The largest part by itself: it is made again only when the versions change.
RUN pip install --no-cache-dir -c constraints.txt torch==2.15.0 torchvision==0.29.2

COPY pyproject.toml setup.cfg README.md LICENSE ./
COPY visplay visplay
COPY tools tools
COPY recipes recipes
COPY data data
COPY docs docs
RUN pip install --no-cache-dir -c constraints.txt -e '.[deepspeed]'

RUN useradd --create-home --uid 10001 visplay \
    && mkdir /cache runs \
    && chown visplay:visplay /cache runs
USER visplay

CMD ["python", "tools/doctor.py"]
