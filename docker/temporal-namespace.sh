#!/bin/sh
# Creates the namespace; its retention is how long the Web UI shows ended transactions.
set -eu

temporal operator namespace describe --namespace default > /dev/null 2>&1 ||
  temporal operator namespace create --namespace default --retention 7d
