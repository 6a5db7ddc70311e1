/** Workflow interceptors module that makes sagas strict: a misplaced step is an error at once, on the happy path too. */
import { beStrict } from '../workflow';

export const interceptors = (): object => {
  beStrict();
  return {};
};
