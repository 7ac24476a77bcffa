// 报送一份,C#(.NET 6 起),不需其他包。 One report, C# on .NET 6 or later, nothing besides: dotnet run -- report.json
using System.Net.Http.Headers;

var address = Environment.GetEnvironmentVariable("SKILLPLAN_URL") ?? "http://127.0.0.1:8080";
var key = Environment.GetEnvironmentVariable("SKILLPLAN_KEY");
var report = await File.ReadAllBytesAsync(args[0]);
using var client = new HttpClient();
if (key != null) client.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", key);
while (true)
{
    var content = new ByteArrayContent(report);
    content.Headers.ContentType = new MediaTypeHeaderValue("application/cloudevents+json");
    using var response = await client.PostAsync(address + "/v1/events", content);
    if ((int)response.StatusCode is 429 or 503) // the same again counts once
    {
        await Task.Delay(response.Headers.RetryAfter?.Delta ?? TimeSpan.FromSeconds(2));
        continue;
    }
    Console.WriteLine(await response.Content.ReadAsStringAsync());
    return response.IsSuccessStatusCode ? 0 : 1;
}
