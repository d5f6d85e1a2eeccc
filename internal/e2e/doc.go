// Package e2e holds the end-to-end tests: they run the real program in processes of its own, as a user would, and look at
// what the stores hold through a stock S3 client. It has no code of the product.
package e2e
