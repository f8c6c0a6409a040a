// Reading and editing .env files as dotenv (and so wrangler) understands them: `export`, single,
// double and back-tick quotes, values over several lines, `#` comments. Pure; any thread.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace hyperdrive::core::wrangler {

using Variables = std::map<std::string, std::string, std::less<>>;

/// The assignments of a .env text; the last one of a name holds. `$NAME` stays as it is.
Variables parse_dotenv(std::string_view text);

/// Sets each variable: in place where it is assigned already (the last assignment, whose name,
/// `export` and comment stay), else on a line of its own at the end. All else stays byte for byte.
std::string set_dotenv(std::string_view text,
                       const std::vector<std::pair<std::string, std::string>>& variables);

/// The variables that wrangler would take from files: `files` (`--env-file`, later ones win) if
/// any, else in `cwd` .env, .env.local, and with an environment .env.ENV, .env.ENV.local; a missing
/// one is passed over, as in wrangler. $NAME, ${NAME}, ${NAME:-default} are replaced by variables
/// of the process or of these files. That a variable of the process wins over one of these is the
/// caller's to see to.
Variables load_dotenv(const std::filesystem::path& cwd, std::string_view environment,
                      const std::vector<std::filesystem::path>& files);

}  // namespace hyperdrive::core::wrangler
