/**
 * The modules that a worker loads once for all workflows of a thread: each workflow would otherwise load a copy of its own of all of them,
 * and keep it as long as it waits. For bundles of workflows that you make yourself; `runCoordinator` does so where it is given
 * `workflowsPath`.
 *
 * @returns paths, for `preloadModules`
 * @example await bundleWorkflowCode({ workflowsPath, preloadModules: workflowModules() });
 */
export const workflowModules = (): string[] => [require.resolve('temporal-txn/workflow')];
