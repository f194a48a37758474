/** What exports the core, or throws {@link problem} where there is none. */
export declare const binding: typeof import('./index.cjs');
/** Why there is no core. */
export declare const problem: (Error & { code: 'ERR_RECVAE_NO_BINARY' }) | undefined;
/** The version of this package. */
export declare const version: string;
/** The platforms that packages are published for, with what they need of the system. */
export declare const PLATFORMS: Readonly<Record<string, string>>;
