/** Certificates of a small authority, made by openssl for one test file and thrown away with it. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A certificate and its key, as files. */
export interface Pair {
  readonly cert: string;
  readonly key: string;
}

/** An authority whose certificates nobody trusts who is not told to. */
export class Authority {
  private constructor(
    /** Certificate of the authority itself. */
    readonly ca: string,
    private readonly directory: string,
    private readonly name: string,
  ) {}

  static in(directory: string, name: string): Authority {
    const { cert } = selfSigned(directory, name, ['-addext', 'keyUsage=critical,keyCertSign']);
    return new Authority(cert, directory, name);
  }

  /** A certificate for a server at an address, or for a client. */
  issue(name: string, for_: { readonly server: string } | 'client'): Pair {
    const at = (ending: string): string => join(this.directory, `${name}.${ending}`);
    openssl('req', '-newkey', ...CURVE, '-nodes', '-keyout', at('key'), '-out', at('csr'), '-subj', `/CN=${name}`);
    const extensions =
      for_ === 'client' ? 'extendedKeyUsage=clientAuth' : `subjectAltName=${for_.server}\nextendedKeyUsage=serverAuth`;
    writeFileSync(at('ext'), `basicConstraints=CA:FALSE\n${extensions}\n`);
    const authority = ['-CA', this.ca, '-CAkey', join(this.directory, `${this.name}.key`), '-CAcreateserial'];
    openssl('x509', '-req', '-in', at('csr'), ...authority, '-days', '2', '-extfile', at('ext'), '-out', at('crt'));
    return { cert: at('crt'), key: at('key') };
  }
}

/** A directory for certificates, which its user may read and nobody else. */
export function certificateDirectory(): { readonly path: string; remove(): void } {
  const path = mkdtempSync(join(tmpdir(), 'txn-certificates-'));
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) };
}

const CURVE = ['ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1'];

function selfSigned(directory: string, name: string, extensions: readonly string[]): Pair {
  const pair = { cert: join(directory, `${name}.crt`), key: join(directory, `${name}.key`) };
  const files = ['-keyout', pair.key, '-out', pair.cert];
  openssl('req', '-x509', '-newkey', ...CURVE, '-nodes', ...files, '-days', '2', '-subj', `/CN=${name}`, ...extensions);
  return pair;
}

function openssl(...args: readonly string[]): void {
  try {
    execFileSync('openssl', args, { stdio: 'pipe' });
  } catch (error) {
    const { code, stderr } = error as { readonly code?: string; readonly stderr?: Buffer };
    if (code === 'ENOENT') throw new Error('These tests make certificates with openssl: install it.', { cause: error });
    throw new Error(`openssl ${args[0]} failed: ${stderr?.toString() ?? ''}`, { cause: error });
  }
}
