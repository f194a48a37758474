/**
 * What the server answers where it does not do what it is asked: one shape, with the codes of this package and the few
 * of {@link ServerCode}. Codes and words of Fastify and of Node become ours here.
 */
import { maxHeaderSize, STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { type RecvaeErrorCode, toRecvaeError } from '../runtime/errors.js';

/** What only a server refuses; `docs/serving.md` says what each means. */
type ServerCode = 'UNAUTHORIZED' | 'NOT_FOUND' | 'TIMEOUT' | 'CLOSING' | 'TOO_MUCH_WORK';

/** The limits that messages name. */
interface Named {
  bodyLimit: number;
  requestTimeout: number;
}

/** The HTTP status of a failure of this package: the first two are the caller's. */
const STATUS: Partial<Record<RecvaeErrorCode, number>> = { INVALID_ARGUMENT: 400, INVALID_DATA: 400 };

/** The body of an answer that refuses. */
export function errorOf(code: RecvaeErrorCode | ServerCode, message: string) {
  return { error: { code, message } };
}

/** Has all that fails after the head of a request answered in our shape. */
export function answerErrors(server: FastifyInstance, limits: Named): void {
  server.setNotFoundHandler(({ method, url }, reply) =>
    reply.code(404).send(errorOf('NOT_FOUND', `there is no ${method} ${url}; /openapi.json tells what there is`)),
  );
  server.setErrorHandler((error: FastifyError, request, reply) => answerError(error, request, reply, limits));
}

/** Answers a request that failed: Fastify's own refusals have a status. */
export function answerError(error: FastifyError, request: FastifyRequest, reply: FastifyReply, limits: Named): void {
  if (error.validation) {
    reply.code(400).send(errorOf('INVALID_ARGUMENT', refusalOf(error)));
  } else if (error.statusCode !== undefined && error.statusCode < 500) {
    reply.code(error.statusCode).send(errorOf('INVALID_ARGUMENT', wordsOf(error, request, limits)));
  } else {
    const { code, message } = toRecvaeError(error);
    reply.code(STATUS[code] ?? 500).send(errorOf(code, message));
  }
}

/** What Fastify refuses before it looks at the schema, in our words. */
function wordsOf({ code, message }: FastifyError, { headers, url }: FastifyRequest, { bodyLimit }: Named): string {
  switch (code) {
    case 'FST_ERR_CTP_BODY_TOO_LARGE': {
      // A body that comes in chunks does not say how large it is.
      const size = headers['content-length'] ?? `more than ${bodyLimit}`;
      return `the body has ${size} bytes; allowed: ${bodyLimit} at most`;
    }
    case 'FST_ERR_CTP_INVALID_MEDIA_TYPE':
      return `content-type is '${headers['content-type'] ?? ''}'; allowed: application/json`;
    case 'FST_ERR_CTP_EMPTY_JSON_BODY':
      return 'the body is empty; allowed: a JSON object';
    case 'FST_ERR_CTP_INVALID_JSON_BODY':
      return "the body is not JSON, or has a key '__proto__' or 'constructor'; allowed: a JSON object";
    case 'FST_ERR_BAD_URL':
      return `the path is '${url}', which is not percent-encoded as it should be; /openapi.json tells what there is`;
    default:
      return message;
  }
}

/** What is wrong with a body by its schema, in our words where those of the validator say too little. */
function refusalOf({ message, validation }: FastifyError): string {
  const [{ keyword, instancePath, params }] = validation as [NonNullable<FastifyError['validation']>[number]];
  switch (keyword) {
    case 'additionalProperties':
      return `a key of body${instancePath} is '${params.additionalProperty}'; /openapi.json tells which are allowed`;
    case 'enum': {
      const allowed = (params.allowedValues as unknown[]).map((value) => `'${value}'`).join(', ');
      return `body${instancePath} is something else; allowed: ${allowed}`;
    }
    // Only ids have these. The number is not shown: what was sent may have been another one, which JSON.parse()
    // rounded.
    case 'exclusiveMaximum':
    case 'exclusiveMinimum': {
      const range = keyword === 'exclusiveMaximum' ? 'from 2^53 on' : 'of -2^53 or less';
      const what = `body${instancePath} is a number ${range}, where numbers cannot be told exactly`;
      return `${what}; allowed: a string or a whole number below 2^53 (larger ones as strings)`;
    }
    default:
      return message;
  }
}

/** Answers what is no request, or none in time: it reaches no route, and no hook. */
export function answerBroken({ code, message }: NodeJS.ErrnoException, socket: Socket, limits: Named): void {
  // Who has gone gets no answer.
  if (code !== 'ECONNRESET' && socket.writable) {
    const [status, body] = brokenOf(code, message, limits);
    const text = JSON.stringify(body);
    const head = [
      `HTTP/1.1 ${status} ${STATUS_CODES[status]}`,
      'connection: close',
      'content-type: application/json; charset=utf-8',
      `content-length: ${Buffer.byteLength(text)}`,
    ];
    socket.write(`${head.join('\r\n')}\r\n\r\n${text}`);
  }
  socket.destroy();
}

function brokenOf(code: string | undefined, message: string, { requestTimeout }: Named) {
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') {
    const text = `the request had not arrived in time; allowed: ${requestTimeout} milliseconds for all of it`;
    return [408, errorOf('TIMEOUT', text)] as const;
  }
  if (code === 'HPE_HEADER_OVERFLOW') {
    return [431, errorOf('INVALID_ARGUMENT', `the headers are too large; allowed: ${maxHeaderSize} bytes`)] as const;
  }
  return [400, errorOf('INVALID_ARGUMENT', `this is no request: ${message}; allowed: HTTP/1.1`)] as const;
}
