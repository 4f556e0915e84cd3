// Package program holds tests of the whole program as it is linked: what its parts
// must have in common. Every statement compiles on both engines and names whose rows
// it is about, the catalogue is what the migrations say, and every dialect agrees
// with its published document and gets in no other's way.
package program
