/** Both ways in one module, so that one worker runs them. */
export { transferByHand } from '../../bench/hand-written/workflows';
export { transferBySaga } from '../../bench/saga/workflows';
