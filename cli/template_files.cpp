#include "cli/template_files.hpp"

#include <fcntl.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cerrno>

#include "cli/context.hpp"
#include "core/base/file.hpp"
#include "core/config/suggest.hpp"

namespace hyperdrive::cli {
namespace fs = std::filesystem;
namespace {

/// The README's first paragraph after its title.
std::string summary_of(const fs::path& readme) {
  const auto text = core::read_file(readme);
  if (!text) return {};
  std::size_t at = 0;
  while (at < text->size() && ((*text)[at] == '#' || (*text)[at] == '\n')) {
    const std::size_t end = text->find('\n', at);
    if (end == std::string::npos) return {};
    at = end + 1;
  }
  return text->substr(at, text->find('\n', at) - at);
}

/// A name for a Worker (and an npm package): lower-case letters, digits and dashes.
std::string worker_name(const fs::path& target) {
  std::error_code ignored;
  std::string name = fs::weakly_canonical(fs::absolute(target), ignored).filename().string();
  for (char& c : name) {
    c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    if (std::isalnum(static_cast<unsigned char>(c)) == 0) c = '-';
  }
  name.erase(0, name.find_first_not_of('-'));
  return name.empty() ? "worker" : name;
}

std::string with_name(std::string text, const std::string& name) {
  constexpr std::string_view kPlace = "{{name}}";
  for (std::size_t at = 0; (at = text.find(kPlace, at)) != std::string::npos; at += name.size()) {
    text.replace(at, kPlace.size(), name);
  }
  return text;
}

core::Result<void> write_new_file(const fs::path& file, const std::string& text) {
  core::Descriptor fd(::open(file.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666));
  const int error = fd ? core::write_all(fd.get(), text) : errno;
  if (error == 0) return {};
  return core::fail(fmt::format("Cannot write {}: {}.", file.string(), core::errno_text(error)));
}

bool is_worker(const fs::path& folder) {
  std::error_code ignored;
  return fs::exists(folder / "wrangler.jsonc", ignored) ||
         fs::exists(folder / "wrangler.toml", ignored);
}

/// Files of a template, relative to it; what a test run left behind is no part of it.
std::vector<fs::path> files_of(const fs::path& folder) {
  std::vector<fs::path> files;
  for (auto entry = fs::recursive_directory_iterator(folder);
       entry != fs::recursive_directory_iterator(); ++entry) {
    const std::string name = entry->path().filename().string();
    if (name == "node_modules" || name == ".wrangler") {
      entry.disable_recursion_pending();
    } else if (entry->is_regular_file()) {
      files.push_back(fs::relative(entry->path(), folder));
    }
  }
  std::sort(files.begin(), files.end());
  return files;
}

}  // namespace

core::Result<fs::path> templates_folder() {
  if (const auto given = environment_variable("HYPERDRIVE_TEMPLATES")) return fs::path(*given);
  std::error_code error;
  const fs::path program = fs::read_symlink("/proc/self/exe", error);
  const fs::path bin = program.parent_path();
  const std::array places = {bin / "../share/hyperdrive/templates", bin / "../../templates"};
  for (const fs::path& place : places) {
    if (fs::is_directory(place, error)) return place.lexically_normal();
  }
  return core::fail("The templates are not installed.",
                    fmt::format("They belong into {}; HYPERDRIVE_TEMPLATES can name another "
                                "folder.",
                                places[0].lexically_normal().string()));
}

core::Result<std::vector<Template>> list_templates() {
  auto folder = templates_folder();
  if (!folder) return tl::unexpected(folder.error());
  std::vector<Template> templates;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(*folder, error)) {
    if (!entry.is_directory() || !is_worker(entry.path())) continue;
    templates.push_back({entry.path().filename().string(), summary_of(entry.path() / "README.md")});
  }
  if (error) {
    return core::fail(fmt::format("Cannot read {}: {}.", folder->string(), error.message()));
  }
  std::sort(templates.begin(), templates.end(),
            [](const Template& a, const Template& b) { return a.name < b.name; });
  return templates;
}

core::Result<std::vector<std::string>> copy_template(std::string_view name,
                                                     const fs::path& target) {
  auto templates = list_templates();
  if (!templates) return tl::unexpected(templates.error());
  std::vector<std::string> names;
  for (const Template& one : *templates) names.push_back(one.name);
  if (std::find(names.begin(), names.end(), name) == names.end()) {
    const std::string near = core::did_you_mean(name, names);
    return core::usage(fmt::format("There is no template '{}'.", name),
                       near.empty() ? "`hyperdrive templates` lists them." : near);
  }
  const fs::path source = *templates_folder() / name;
  const std::string name_there = worker_name(target);
  try {
    const auto files = files_of(source);
    for (const fs::path& file : files) {
      if (fs::exists(fs::symlink_status(target / file))) {
        return core::fail(fmt::format("{} exists already.", (target / file).string()),
                          "Name an empty or a new folder; nothing was written.");
      }
    }
    std::vector<std::string> written;
    for (const fs::path& file : files) {
      fs::create_directories((target / file).parent_path());
      auto text = core::read_file(source / file);
      if (!text) return tl::unexpected(text.error());
      auto done = write_new_file(target / file, with_name(std::move(*text), name_there));
      if (!done) return tl::unexpected(done.error());
      written.push_back(file.string());
    }
    return written;
  } catch (const fs::filesystem_error& error) {
    return core::fail(fmt::format("Cannot write the template into {}: {}.", error.path1().string(),
                                  error.code().message()),
                      "Name a folder where you may write.");
  }
}

}  // namespace hyperdrive::cli
