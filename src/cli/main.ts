#!/usr/bin/env node
/**
 * The operator's command `temporal-txn`. Reads arguments and configuration, runs one command, prints its answer, and says
 * with the exit code whether a person is needed.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { runProgram } from './program';

const manifest = readFileSync(join(__dirname, '../../../package.json'), 'utf8');
void runProgram(process.argv.slice(2), (JSON.parse(manifest) as { version: string }).version); // Cast: every package has one.
