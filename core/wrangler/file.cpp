#include "core/wrangler/file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstring>
#include <optional>

#include "core/base/file.hpp"

namespace hyperdrive::core::wrangler {
namespace {

namespace fs = std::filesystem;

/// Far beyond any wrangler file: a slip such as `-c /dev/zero` shall not eat the memory.
constexpr std::size_t kLargest = 256u << 20;

tl::unexpected<Error> cannot(const char* what, const fs::path& file, int error) {
  return fail(fmt::format("Cannot {} {}: {}.", what, file.string(), std::strerror(error)),
              error == EACCES || error == EPERM || error == EROFS
                  ? "Check the permissions of the file and its folder."
              : error == ENOSPC || error == EDQUOT
                  ? "Free some disk space and run the command again; the file is as it was."
                  : "");
}

Result<std::string> read_all(int fd, const fs::path& file) {
  std::string text;
  std::array<char, 65536> buffer;
  for (;;) {
    const ssize_t n = ::pread(fd, buffer.data(), buffer.size(), static_cast<off_t>(text.size()));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return cannot("read", file, errno);
    if (n == 0) return text;
    text.append(buffer.data(), static_cast<std::size_t>(n));
    if (text.size() > kLargest) return fail(fmt::format("{} is too large.", file.string()));
  }
}

Result<void> check_encoding(std::string_view text, const fs::path& file) {
  using namespace std::string_view_literals;
  for (const auto mark : {"\xFF\xFE"sv, "\xFE\xFF"sv, "\0\0\xFE\xFF"sv}) {
    if (text.starts_with(mark)) {
      return fail(fmt::format("{} is not UTF-8 (it begins with the mark of UTF-16 or UTF-32).",
                              file.string()),
                  "Save it as UTF-8.");
    }
  }
  return {};
}

/// Where the bytes lie: links followed, so that the link itself stays.
fs::path target_of(const fs::path& file) {
  std::error_code error;
  fs::path target = fs::canonical(file, error);
  return error ? file : target;
}

bool same_file(int fd, const fs::path& file) {
  struct stat mine, there;
  return ::fstat(fd, &mine) == 0 && ::stat(file.c_str(), &there) == 0 &&
         mine.st_dev == there.st_dev && mine.st_ino == there.st_ino;
}

Result<void> write_all(int fd, std::string_view text, const fs::path& file) {
  while (!text.empty()) {
    const ssize_t n = ::write(fd, text.data(), text.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return cannot("write", file, errno);
    text.remove_prefix(static_cast<std::size_t>(n));
  }
  return {};
}

/// How a text is called for the moment between getting a name and taking the target's place.
constexpr std::string_view kNew = ".hyperdrive-new-";
/// … and an old text that is kept beside a target of several names while that is overwritten.
constexpr std::string_view kOld = ".hyperdrive-";

/// The process that called a file so, if it was in that moment and is not any more.
bool is_left_behind(const std::string& name) {
  if (!name.starts_with(kNew)) return false;
  pid_t owner = 0;
  const char* const end = name.data() + name.size();
  const auto [rest, error] = std::from_chars(name.data() + kNew.size(), end, owner);
  return error == std::errc() && rest != end && *rest == '-' && owner > 0 &&
         ::kill(owner, 0) != 0 && errno == ESRCH;
}

/// A file beside the target that is gone at the end unless it took the target's place. It has no
/// name until its text is on disk (where the file system can do that), so that a crash leaves
/// nothing behind; but for the moment before it takes the target's place, whose remains the next
/// one removes.
class Replacement {
 public:
  explicit Replacement(const fs::path& target) : target_(target) {
    if (::access("/proc/self/fd", X_OK) == 0) {
      file_.reset(::open(folder().c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
    }
    if (file_) return;
    name_ = (folder() / ".hyperdrive-XXXXXX").string();
    file_.reset(::mkostemp(name_.data(), O_CLOEXEC));
    error_ = errno;
    if (!file_) name_.clear();
  }
  Replacement(const Replacement&) = delete;
  Replacement& operator=(const Replacement&) = delete;
  ~Replacement() {
    if (!name_.empty()) ::unlink(name_.c_str());
  }

  Result<void> fill(std::string_view text, mode_t mode, const struct stat* owner) {
    if (!file_) return cannot("write beside", target_, error_);
    if (auto written = write_all(file_.get(), text, target_); !written) return written;
    if (owner && (owner->st_uid != ::geteuid() || owner->st_gid != ::getegid()) &&
        ::fchown(file_.get(), owner->st_uid, owner->st_gid) != 0) {
      return cannot("keep the owner of", target_, errno);
    }
    if (::fchmod(file_.get(), mode) != 0) return cannot("keep the mode of", target_, errno);
    if (::fsync(file_.get()) != 0) return cannot("write", target_, errno);
    return {};
  }

  /// Gives it a name beside the target, if it has none.
  Result<void> show(std::string_view as = kOld) {
    constexpr int kTries = 100;
    for (int i = 0; name_.empty(); ++i) {
      const std::string name = (folder() / fmt::format("{}{}-{}", as, ::getpid(), i)).string();
      if (link_to(name)) {
        name_ = name;
      } else if (errno != EEXIST || i == kTries) {
        return cannot("write beside", target_, errno);
      }
    }
    return {};
  }

  Result<void> take_place() {
    remove_left_behind();
    if (auto shown = show(kNew); !shown) return shown;
    if (::rename(name_.c_str(), target_.c_str()) != 0) return cannot("replace", target_, errno);
    name_.clear();
    sync_folder();
    return {};
  }

  /// For a file that is new: never over one that appeared meanwhile. False: one did.
  Result<bool> take_free_place() {
    if (!link_to(target_.string())) {
      if (errno == EEXIST) return false;
      return cannot("create", target_, errno);
    }
    sync_folder();
    return true;
  }

 private:
  fs::path folder() const {
    return target_.has_parent_path() ? target_.parent_path() : fs::path(".");
  }

  /// A folder that cannot be read keeps what is there.
  void remove_left_behind() const {
    std::error_code error;
    for (fs::directory_iterator at(folder(), error), end; !error && at != end;
         at.increment(error)) {
      if (is_left_behind(at->path().filename().string())) ::unlink(at->path().c_str());
    }
  }

  bool link_to(const std::string& path) {
    if (!name_.empty()) return ::link(name_.c_str(), path.c_str()) == 0;
    const std::string self = fmt::format("/proc/self/fd/{}", file_.get());
    return ::linkat(AT_FDCWD, self.c_str(), AT_FDCWD, path.c_str(), AT_SYMLINK_FOLLOW) == 0;
  }

  /// Some file systems cannot sync a folder; the rename has happened all the same.
  void sync_folder() {
    const Descriptor open(::open(folder().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (open) ::fsync(open.get());
  }

  fs::path target_;
  std::string name_;  ///< empty: none yet, or not any more
  Descriptor file_;
  int error_ = 0;
};

/// A file of several names (hard links) is overwritten where it lies, since a rename would part the
/// names. The room is taken first, so that a full disk is met before the first byte changes; the
/// caller keeps the old text on disk beside the file until all is written.
Result<void> overwrite(const fs::path& target, std::string_view before, std::string_view after) {
  const Descriptor file(::open(target.c_str(), O_WRONLY | O_CLOEXEC));
  if (!file) return cannot("write", target, errno);
  if (after.size() > before.size()) {
    const int error = ::posix_fallocate(file.get(), 0, static_cast<off_t>(after.size()));
    if (error != 0) {
      if (::ftruncate(file.get(), static_cast<off_t>(before.size())) != 0) {
        return cannot("restore", target, errno);
      }
      return cannot("write", target, error);
    }
  }
  if (auto written = write_all(file.get(), after, target); !written) return written;
  if (::ftruncate(file.get(), static_cast<off_t>(after.size())) != 0 || ::fsync(file.get()) != 0) {
    return cannot("write", target, errno);
  }
  return {};
}

/// One try; nullopt: the file was changed meanwhile, or replaced while we waited our turn.
Result<std::optional<bool>> try_edit(const fs::path& target, const TextEdit& edit) {
  const Descriptor file(::open(target.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!file) return cannot("open", target, errno);
  struct stat status;
  if (::fstat(file.get(), &status) != 0) return cannot("read", target, errno);
  if (!S_ISREG(status.st_mode)) return fail(fmt::format("{} is not a file.", target.string()));
  while (::flock(file.get(), LOCK_EX) != 0) {
    // Network file systems may know no locks; the comparison below still guards the edit.
    if (errno != EINTR) break;
  }
  if (!same_file(file.get(), target)) return std::optional<bool>();

  const auto before = read_all(file.get(), target);
  if (!before) return tl::unexpected(before.error());
  if (auto fine = check_encoding(*before, target); !fine) return tl::unexpected(fine.error());
  const auto after = edit(*before);
  if (!after) return tl::unexpected(after.error());
  if (*after == *before) return std::optional(false);
  if (::access(target.c_str(), W_OK) != 0) return cannot("write", target, errno);

  Replacement replacement(target);
  const bool linked = status.st_nlink > 1;
  const std::string& beside = linked ? *before : *after;
  if (auto filled = replacement.fill(beside, status.st_mode & 07777, &status); !filled) {
    return tl::unexpected(filled.error());
  }
  const auto now = read_all(file.get(), target);
  if (!now || *now != *before || !same_file(file.get(), target)) return std::optional<bool>();
  if (linked) {
    if (auto shown = replacement.show(); !shown) return tl::unexpected(shown.error());
  }
  auto done = linked ? overwrite(target, *before, *after) : replacement.take_place();
  if (!done) return tl::unexpected(done.error());
  return std::optional(true);
}

}  // namespace

Result<std::string> read_file(const fs::path& file) {
  const Descriptor descriptor(::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!descriptor) return cannot("open", file, errno);
  struct stat status;
  if (::fstat(descriptor.get(), &status) != 0 || !S_ISREG(status.st_mode)) {
    return fail(fmt::format("{} is not a file.", file.string()));
  }
  auto text = read_all(descriptor.get(), file);
  if (!text) return text;
  if (auto fine = check_encoding(*text, file); !fine) return tl::unexpected(fine.error());
  return text;
}

Result<bool> edit_file(const fs::path& file, const TextEdit& edit) {
  const fs::path target = target_of(file);
  constexpr int kTries = 100;
  for (int i = 0; i < kTries; ++i) {
    const auto changed = try_edit(target, edit);
    if (!changed) return tl::unexpected(changed.error());
    if (*changed) return **changed;
  }
  return fail(fmt::format("{} is being changed by another program.", file.string()),
              "Nothing was changed; try again.");
}

Result<bool> edit_or_create_file(const fs::path& file, unsigned mode, const TextEdit& edit) {
  std::error_code error;
  if (!fs::exists(fs::symlink_status(file, error))) {
    const auto text = edit("");
    if (!text) return tl::unexpected(text.error());
    if (text->empty()) return false;
    Replacement replacement(fs::absolute(file));
    if (auto filled = replacement.fill(*text, mode, nullptr); !filled) {
      return tl::unexpected(filled.error());
    }
    const auto created = replacement.take_free_place();
    if (!created) return tl::unexpected(created.error());
    if (*created) return true;
  }
  return edit_file(file, edit);
}

}  // namespace hyperdrive::core::wrangler
