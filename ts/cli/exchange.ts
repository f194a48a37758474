/** `recvae import` and `recvae export`: models from other programs and for them. */
import type { Command } from 'commander';
import { exportFormat, exportModel, importModel, type ModelExportOptions } from '../models/exchange.js';
import { load } from '../models/model.js';
import { description } from '../runtime/native.js';
import type { ModelOptions } from '../runtime/options.generated.js';
import { refuseSame } from './distinct.js';
import { MODEL_FILE } from './flags.js';
import { addFlag } from './input-flags.js';
import { checkWritable, message } from './output.js';
import { addSetting } from './settings.js';

/** `recvae import`. */
export function addImport(program: Command): void {
  program
    .command('import')
    .description("make a model of the weights of RecVAE's or Mult-VAE's own programs")
    .argument('<weights>', 'a state dict as safetensors, or arrays of NumPy as npz')
    .requiredOption('--ids <file>', 'ids of the items, one a line in the order of the weights: unique_sid.txt')
    .requiredOption('--out <file>', 'where the model goes')
    .option('--set <option=value>', 'an option that the training had, such as gamma=0.005; more than once', addSetting)
    .action(async (weights: string, flags: { ids: string; out: string; set?: Record<string, unknown> }) => {
      const { ids, out, set } = flags;
      refuseSame({ inputs: { '<weights>': weights, '--ids': ids }, outputs: { '--out': out } });
      checkWritable(out, '--out');
      const model = await importModel(weights, { ids, options: set as ModelOptions['recvae'] });
      await model.save(out);
      const { program } = (model.info as { imported: { program: string } }).imported;
      message(`${program}: ${model.kind} of ${model.itemIds.length} items`);
      message(`saved: ${out}`);
    });
}

/** `recvae export`. */
export function addExport(program: Command): void {
  const command = program
    .command('export')
    .description("write a recvae, mult-vae or mult-dae for its authors' programs, or as an ONNX graph")
    .argument(...MODEL_FILE)
    .argument('<out>', 'where it goes: a name that ends in .safetensors, .npz or .onnx, or any with --format');
  addFlag(command, description.export, 'format', 'safetensors|npz|onnx');
  command
    .option('--ids <file>', 'write the ids of the items too, one a line in the order of the weights')
    .action(async (file: string, out: string, { ids, ...how }: ModelExportOptions) => {
      refuseSame({ inputs: { '<model-file>': file }, outputs: { '<out>': out, '--ids': ids } });
      exportFormat(out, how);
      checkWritable(out, '<out>');
      checkWritable(ids, '--ids');
      const model = await load(file);
      await exportModel(model as Parameters<typeof exportModel>[0], out, { ...how, ...(ids !== undefined && { ids }) });
      message(`saved: ${out}${ids === undefined ? '' : `, ${ids}`}`);
    });
}
