/** Whether a host is this machine itself: nobody else hears what is said to it. A path is a socket in the file system. */
export const isLoopback = (host: string): boolean =>
  host === '' || host.startsWith('/') || /^(localhost|127(\.\d{1,3}){3}|\[?::1\]?)$/.test(host);
