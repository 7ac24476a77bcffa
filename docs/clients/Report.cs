// 报送一份,C#(.NET、.NET Framework 4.6 起、Mono),不需其他包。 One report, C# on .NET, .NET Framework 4.6 or Mono, nothing besides:
// dotnet run -- report.json; mcs -r:System.Net.Http Report.cs && mono Report.exe report.json
using System;
using System.IO;
using System.Net.Http;
using System.Net.Http.Headers;
using System.Threading;

public static class Report {
  public static int Main(string[] arguments) {
    var address = Environment.GetEnvironmentVariable("SKILLPLAN_URL") ?? "http://127.0.0.1:8080";
    var key = Environment.GetEnvironmentVariable("SKILLPLAN_KEY");
    var client = new HttpClient();
    if (key != null) client.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", key);
    while (true) {
      var report = new ByteArrayContent(File.ReadAllBytes(arguments[0]));
      report.Headers.ContentType = new MediaTypeHeaderValue("application/cloudevents+json");
      var response = client.PostAsync(address + "/v1/events", report).Result;
      if ((int)response.StatusCode == 429 || (int)response.StatusCode == 503) { // the same again counts once
        Thread.Sleep(response.Headers.RetryAfter?.Delta ?? TimeSpan.FromSeconds(2));
        continue;
      }
      Console.WriteLine(response.Content.ReadAsStringAsync().Result);
      return response.IsSuccessStatusCode ? 0 : 1;
    }
  }
}
