/** What exports the core, or throws {@link problem} where there is none. */
export declare const binding: typeof import('./index.cjs');
/** Why there is no core. */
export declare const problem: (Error & { code: 'ERR_RECVAE_NO_BINARY' }) | undefined;
/** The file or package of the core, and the platform that it was built for. Without a core there is neither. */
export declare const addOn: string;
export declare const platform: string;
/** Why it is not the one with CUDA; nothing where it is, or where RECVAE_BINARY has chosen. */
export declare const cuda: string | undefined;
/** The version of this package. */
export declare const version: string;
/** The platforms that packages are published for, with what they need of the system. */
export declare const PLATFORMS: Readonly<Record<string, string>>;
