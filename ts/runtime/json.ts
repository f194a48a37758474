/** Anything that JSON can hold. */
export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

/**
 * What is written as JSON: objects of any interface, too. What JSON cannot hold, such as a bigint, is refused when it
 * is written.
 */
export type JsonLike = null | boolean | number | string | object;
