/** The build minifies the file and hands it over as a string. */
declare module "*.css" {
  const text: string;
  export default text;
}
