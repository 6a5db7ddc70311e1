#!/bin/sh
# Creates the namespace, as soon as Temporal can, which is later than its port is open. Its retention is how long the Web UI shows ended transactions.
set -eu

create_unless_there() {
  said=$(temporal operator cluster health 2>&1) || return 1
  said=$(temporal operator namespace describe --namespace default 2>&1) && return 0
  # That it is not there is the one failure that creating it mends: the others pass.
  case $said in
    *'not found'*) said=$(temporal operator namespace create --namespace default --retention 7d 2>&1) ;;
    *) return 1 ;;
  esac
}

tries=60
until create_unless_there; do
  tries=$((tries - 1))
  if [ "$tries" -eq 0 ]; then
    echo "Nothing was created: Temporal has not become ready. It says: $said" >&2
    exit 1
  fi
  sleep 2
done
