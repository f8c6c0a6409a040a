// The whole program but for main(): parses, runs the command, prints its error, gives the exit
// code.
#pragma once

namespace hyperdrive::cli {

int run(int argc, char** argv);

}  // namespace hyperdrive::cli
