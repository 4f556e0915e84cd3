package picture

// Upright is for tests of pictures that no encoder makes.
var Upright = upright
