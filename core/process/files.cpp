#include "core/process/files.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <nlohmann/json.hpp>

namespace hyperdrive::core {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::string_view kLongestSuffix = ".99.sock";
constexpr int kMaxGenerations = 99;

/// FNV-1a: names must be the same in every run.
std::uint32_t stable_hash(std::string_view text) {
  std::uint32_t hash = 2166136261u;
  for (const unsigned char c : text) hash = (hash ^ c) * 16777619u;
  return hash;
}

/// A folder that only we can use. Another's folder, or a link, under that name is refused: who owns
/// the folder could replace the socket.
Result<void> private_folder(const std::string& path) {
  if (::mkdir(path.c_str(), 0700) != 0 && errno != EEXIST)
    return fail(
        fmt::format("The folder {} for sockets cannot be made: {}.", path, errno_text(errno)));
  struct stat status;
  if (::lstat(path.c_str(), &status) != 0 || !S_ISDIR(status.st_mode) ||
      status.st_uid != ::geteuid() || (status.st_mode & 077) != 0)
    return fail(fmt::format("The folder {} for sockets is not private to this user.", path),
                "Remove it, or set HYPERDRIVE_HOME to a folder with a shorter path.");
  return {};
}

/// Predecessors of a restart keep their sockets until their drain ends.
bool somebody_listens(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.data(), std::min(path.size(), kMaxSocketPath));
  Descriptor socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  return ::connect(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
}

std::string text_of(const Json& json, const char* key) {
  return json.contains(key) && json[key].is_string() ? json[key].get<std::string>() : "";
}

std::uint64_t number_of(const Json& json, const char* key) {
  return json.contains(key) && json[key].is_number_unsigned() ? json[key].get<std::uint64_t>() : 0;
}

struct flock whole_file(short type) {
  struct flock lock {};
  lock.l_type = type;
  lock.l_whence = SEEK_SET;
  return lock;
}

bool same_file(int fd, const std::string& path) {
  struct stat open_one, named;
  return ::fstat(fd, &open_one) == 0 && ::stat(path.c_str(), &named) == 0 &&
         open_one.st_ino == named.st_ino && open_one.st_dev == named.st_dev;
}

}  // namespace

ProxyFiles::ProxyFiles(const Home& home, const std::string& id)
    : home_(home),
      id_(id),
      base_((home.run() / id).string()),
      log_((home.log() / (id + ".log")).string()) {}

Result<void> ProxyFiles::prepare() const {
  if (auto run = ensure_folder(home_.run()); !run) return run;
  return ensure_folder(home_.log());
}

Result<Sockets> ProxyFiles::sockets() const {
  std::string base = base_;
  if (base.size() + kLongestSuffix.size() > kMaxSocketPath) {
    const std::string name = fmt::format("{:08x}-{}", stable_hash(home_.folder.string()), id_);
    const char* runtime = std::getenv("XDG_RUNTIME_DIR");
    std::string folder = runtime && runtime[0] == '/' ? std::string(runtime) + "/hyperdrive" : "";
    if (folder.empty() ||
        folder.size() + 1 + name.size() + kLongestSuffix.size() > kMaxSocketPath ||
        ::access(runtime, W_OK) != 0)
      folder = fmt::format("/tmp/hyperdrive-{}", ::geteuid());
    if (auto made = private_folder(folder); !made) return tl::unexpected(made.error());
    base = folder + "/" + name;
  }
  for (int generation = 1; generation <= kMaxGenerations; ++generation) {
    const std::string stem = generation == 1 ? base : fmt::format("{}.{}", base, generation);
    if (!somebody_listens(stem + ".sock")) return Sockets{stem + ".sock", stem + ".hand"};
  }
  return fail("Too many proxies of this config are still ending.", "Try again in a moment.");
}

std::string lineage_of(pid_t first, std::uint64_t start_time) {
  return fmt::format("{}.{}", first, start_time);
}

std::optional<StateFile> read_state(const std::string& path) {
  auto text = read_file(path, 1u << 20);
  if (!text) return std::nullopt;
  const Json json = Json::parse(*text, nullptr, false);
  if (!json.is_object()) return std::nullopt;
  StateFile state;
  state.pid = static_cast<pid_t>(number_of(json, "pid"));
  state.start_time = number_of(json, "start_time");
  state.port = static_cast<std::uint16_t>(number_of(json, "port"));
  if (json.contains("listen")) state.listen = text_of(json, "listen");
  state.admin_socket = text_of(json, "admin_socket");
  state.handover_socket = text_of(json, "handover_socket");
  state.version = text_of(json, "version");
  state.started_at = text_of(json, "started_at");
  state.ready = json.contains("ready") && json["ready"] == true;
  if (state.pid <= 0) return std::nullopt;
  state.lineage = text_of(json, "lineage");
  if (state.lineage.empty()) state.lineage = lineage_of(state.pid, state.start_time);
  return state;
}

std::string print_state(const StateFile& state) {
  Json json;
  json["pid"] = static_cast<std::uint64_t>(state.pid);
  json["start_time"] = state.start_time;
  json["port"] = state.port;
  if (state.listen) json["listen"] = *state.listen;
  json["admin_socket"] = state.admin_socket;
  json["handover_socket"] = state.handover_socket;
  json["version"] = state.version;
  json["started_at"] = state.started_at;
  json["ready"] = state.ready;
  json["lineage"] = state.lineage;
  return json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

// proc(5): the name in field 2 may hold blanks and parentheses; the last ')' ends it. Field 3 is
// the state, field 22 the start time.
std::optional<std::uint64_t> process_start_time(pid_t pid) {
  auto text = read_file(fmt::format("/proc/{}/stat", pid), 1u << 16);
  if (!text) return std::nullopt;
  const std::size_t close = text->rfind(')');
  if (close == std::string::npos || close + 2 >= text->size()) return std::nullopt;
  const char* at = text->c_str() + close + 2;
  if (*at == 'Z' || *at == 'X') return std::nullopt;
  for (int field = 3; field < 22; ++field) {
    while (*at && *at != ' ') ++at;
    while (*at == ' ') ++at;
  }
  return std::strtoull(at, nullptr, 10);
}

bool is_alive(const StateFile& state) {
  const auto start = process_start_time(state.pid);
  return start && *start == state.start_time;
}

Result<Descriptor> try_lock(const std::string& path) {
  for (;;) {
    Descriptor file(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    if (!file)
      return fail(fmt::format("The lock {} cannot be opened: {}.", path, errno_text(errno)),
                  "Give yourself write access there, or set HYPERDRIVE_HOME to another folder.");
    struct flock lock = whole_file(F_WRLCK);
    if (::fcntl(file.get(), F_OFD_SETLK, &lock) != 0) {
      if (errno == EACCES || errno == EAGAIN) return Descriptor();
      return fail(fmt::format("{} cannot be locked: {}.", path, errno_text(errno)));
    }
    // `delete` may have removed the file between our open and our lock.
    if (same_file(file.get(), path)) return file;
  }
}

bool is_locked(const std::string& path) {
  Descriptor file(::open(path.c_str(), O_RDWR | O_CLOEXEC));
  if (!file) return false;
  struct flock lock = whole_file(F_WRLCK);
  return ::fcntl(file.get(), F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

}  // namespace hyperdrive::core
