#include "cli/run.hpp"

int main(int argc, char** argv) { return hyperdrive::cli::run(argc, argv); }
