/** The build minifies the file and exports it as a string. */
declare module "*.css" {
  const text: string;
  export default text;
}
