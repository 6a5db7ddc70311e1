/**
 * node-sagas as its README shows it, a saga built with its steps and their compensations. It writes nothing down: when the process dies, so
 * do its sagas, wherever they are.
 */
import nodeSagas from 'node-sagas';
import { serveCallers } from '../../dist/bench/throughput/callers.js';
import { openSteps } from '../../dist/bench/throughput/steps.js';

const { SagaBuilder } = nodeSagas;
const steps = openSteps();

const transfer = () =>
  new SagaBuilder()
    .step('debit')
    .invoke(steps.debit)
    .withCompensation(steps.reverseDebit)
    .step('hold')
    .invoke(steps.hold)
    .step('credit')
    .invoke(steps.credit)
    .build();

serveCallers(
  {
    'node-sagas': async (call) => {
      await transfer().execute(call);
      return true;
    },
  },
  steps.check,
);
