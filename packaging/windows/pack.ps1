# Builds, signs and packs Tocsin on Windows: a zip and, where NSIS is installed,
# an installer, both in dist\. It needs Go 1.26 and Node.js 20; no C compiler.
#   SIGN_CERT      thumbprint of a certificate in the store: signs with signtool
#   SIGN_TIMESTAMP address of a time-stamping service (http://timestamp.digicert.com unless given)
# This script has not been run yet where it was written: there was no Windows.
param([string]$Version = '', [ValidateSet('amd64', 'arm64')][string]$Arch = 'amd64')
$ErrorActionPreference = 'Stop'
Set-Location (Join-Path $PSScriptRoot '..\..')

# run stops at a program that fails; PowerShell alone goes on.
function run { & $args[0] $args[1..($args.Length - 1)]; if ($LASTEXITCODE -ne 0) { throw "$($args -join ' ') failed with $LASTEXITCODE" } }

if (-not $Version) { $Version = (git describe --tags --always --dirty) }
$epoch = if ($env:SOURCE_DATE_EPOCH) { $env:SOURCE_DATE_EPOCH } else { git log -1 --format=%ct }
$numbers = if ($Version -match '^v?(\d+\.\d+\.\d+)') { $Matches[1] } else { '0.0.0' }
$name = "tocsin-$Version-windows-$Arch"
$app = Join-Path 'dist' $name
$syso = "desktop\icon_windows_$Arch.syso"

Push-Location web
try {
    run npm ci --no-audit --no-fund --loglevel=error
    run npm run --silent build
} finally { Pop-Location }

Remove-Item -Recurse -Force -ErrorAction SilentlyContinue $app
New-Item -ItemType Directory -Force -Path $app | Out-Null
Push-Location packaging\icons
try { run go run . -syso "..\..\$syso" -arch $Arch -version $numbers -ico ..\..\dist\tocsin.ico } finally { Pop-Location }
try {
    $env:GOOS = 'windows'; $env:GOARCH = $Arch; $env:CGO_ENABLED = '0'
    run go build -tags desktop,production -trimpath -ldflags "-s -w -X main.version=$Version -H windowsgui" -o "$app\tocsin-desktop.exe" ./desktop
    run go build -trimpath -ldflags "-s -w -X main.version=$Version" -o "$app\tocsin.exe" ./cmd/tocsin
} finally {
    Remove-Item Env:GOOS, Env:GOARCH, Env:CGO_ENABLED
    Remove-Item -Force -ErrorAction SilentlyContinue $syso
}

function sign([string[]]$Files) {
    if (-not $env:SIGN_CERT) { Write-Host "SIGN_CERT is not set: $($Files -join ', ') not signed; Windows will warn people"; return }
    $stamp = if ($env:SIGN_TIMESTAMP) { $env:SIGN_TIMESTAMP } else { 'http://timestamp.digicert.com' }
    run signtool sign /sha1 $env:SIGN_CERT /fd SHA256 /tr $stamp /td SHA256 @Files
}
sign @("$app\tocsin-desktop.exe", "$app\tocsin.exe")

Copy-Item packaging\windows\install.ps1, packaging\windows\uninstall.ps1, packaging\windows\README.txt $app
Copy-Item LICENSE "$app\LICENSE.txt"
run go run packaging\windows\zip.go "dist\$name.zip" $app $epoch

if (Get-Command makensis -ErrorAction SilentlyContinue) {
    run makensis /DVERSION=$Version /DNUMBERS=$numbers.0 "/DAPP=..\..\$app" /DICON=..\..\dist\tocsin.ico "/DOUT=..\..\dist\$name-setup.exe" packaging\windows\tocsin.nsi
    sign @("dist\$name-setup.exe")
} else { Write-Host 'There is no makensis in the PATH: no installer was made.' }
Get-ChildItem dist -File | Where-Object Name -like "$name*" | Get-FileHash -Algorithm SHA256 | ForEach-Object { '{0}  {1}' -f $_.Hash.ToLower(), (Split-Path -Leaf $_.Path) } | Set-Content dist\SHA256SUMS-windows
