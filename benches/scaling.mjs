export const scaling = () => ({});
export const scalingTables = () => '';
