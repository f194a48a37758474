/** Imported for its effect, before anything else of the library: it throws where there is no compiled core. */
import { noBinary } from './native.js';

if (noBinary) throw noBinary;
