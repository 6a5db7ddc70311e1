#!/bin/sh
# Creates Temporal's two databases and brings their schemas up to date.
set -eu

for database in temporal temporal_visibility; do
  schema=${database#temporal_}
  tool="temporal-sql-tool --plugin postgres12 --ep temporal-db --port 5432 --user temporal --db $database"
  $tool create
  # A schema that is there already is not set up again.
  $tool setup-schema --version 0.0 || true
  $tool update-schema --schema-dir "/etc/temporal/schema/postgresql/v12/$schema/versioned"
done
