#include "http/routes/hub/content.hpp"

#include <array>

namespace binnacle::http {
namespace {

/// In both languages.
struct suggestion {
  std::string_view id;
  std::string_view path;
  std::string_view title[2];
  std::string_view description[2];
};
enum language : std::size_t { english, german };

constexpr std::array tools{
    suggestion{"image-enhancer",
               "/tools/image-enhancer",
               {"Image enhancer", "Bildverbesserung"},
               {"Sharpen and enlarge your pictures", "Bilder schärfen und vergrößern"}},
    suggestion{"video-enhancer",
               "/tools/video-enhancer",
               {"Video enhancer", "Videoverbesserung"},
               {"Raise the resolution of your clips", "Die Auflösung von Clips erhöhen"}},
    suggestion{"prompt-enhancer",
               "/tools/prompt-enhancer",
               {"Prompt enhancer", "Prompt-Verbesserung"},
               {"Turn an idea into a good prompt", "Aus einer Idee einen guten Prompt machen"}},
};
constexpr std::array docs{
    suggestion{"getting-started",
               "/docs/getting-started",
               {"Getting started", "Erste Schritte"},
               {"The dashboard in five minutes", "Das Dashboard in fünf Minuten"}},
    suggestion{
        "credits",
        "/docs/credits",
        {"Credits and plans", "Credits und Tarife"},
        {"What is included, and what costs extra", "Was enthalten ist und was extra kostet"}},
};

json::array to_json(const auto& suggestions, language in) {
  json::array out;
  for (const auto& s : suggestions)
    out.emplace_back(json::object{
        {"id", s.id}, {"title", s.title[in]}, {"description", s.description[in]}, {"url", s.path}});
  return out;
}

} // namespace

json::array quick_actions() {
  json::array out;
  out.emplace_back(json::object{{"id", "qa1"},
                                {"title", "Create New Project"},
                                {"description", "Start with an empty project"},
                                {"icon", "➕"},
                                {"action", "create_project"}});
  return out;
}

json::object recommendations(std::string_view locale) {
  auto in = locale == "de" ? german : english;
  return {{"tools", to_json(tools, in)}, {"docs", to_json(docs, in)}};
}

} // namespace binnacle::http
