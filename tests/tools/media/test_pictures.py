"""Pictures are made fit for use."""

from __future__ import annotations

import asyncio
from io import BytesIO

import numpy as np
import pytest
from PIL import Image, ImageCms, PngImagePlugin

from config.errors import Busy, Invalid
from config.quotas import Quota
from tests.support.media_files import LEFT, RIGHT, file_of, halves, image_of
from tools.media import Media, PictureFacts, TenantMedia

ORIENTATION = 0x0112
ROTATED_RIGHT = 6  # the camera was turned: the stored left is the upright top


def near(pixel: object, color: tuple[int, ...], slack: int = 12) -> bool:
    assert isinstance(pixel, tuple)
    return all(abs(a - b) <= slack for a, b in zip(pixel, color, strict=True))


@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "AVIF"])
async def test_every_format_is_read(media: TenantMedia, format: str) -> None:
    made = await media.prepare_picture(file_of(halves(), format))
    image = image_of(made.data)
    assert made.original == PictureFacts(format.lower(), 80, 40)
    assert (made.media_type, image.mode) == (f"image/{(image.format or '').lower()}", "RGB")
    assert near(image.getpixel((10, 20)), LEFT)
    assert near(image.getpixel((70, 20)), RIGHT)


async def test_a_jpeg_stays_one_and_others_become_png_unless_asked(media: TenantMedia) -> None:
    assert (await media.prepare_picture(file_of(halves(), "JPEG"))).media_type == "image/jpeg"
    assert (await media.prepare_picture(file_of(halves(), "WEBP"))).media_type == "image/png"
    asked = await media.prepare_picture(file_of(halves()), format="jpeg")
    assert (asked.media_type, image_of(asked.data).format) == ("image/jpeg", "JPEG")


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF"])
async def test_a_picture_taken_with_a_turned_camera_is_set_upright(
    media: TenantMedia, format: str
) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = ROTATED_RIGHT
    made = await media.prepare_picture(file_of(halves(), format, exif=exif))
    image = image_of(made.data)
    assert (made.width, made.height) == image.size == (40, 80)
    assert near(image.getpixel((20, 10)), LEFT)
    assert not image.getexif()


async def test_a_large_picture_is_scaled_down_and_a_small_one_is_left(media: TenantMedia) -> None:
    large = file_of(halves(3000, 1000), "JPEG")
    assert (await media.prepare_picture(large, max_side=600)).width == 600
    assert (await media.prepare_picture(large, max_side=600)).height == 200
    by_pixels = await media.prepare_picture(large, max_pixels=30_000)
    assert (by_pixels.width, by_pixels.height) == (300, 100)
    assert (await media.prepare_picture(file_of(halves()), max_side=600)).width == 80
    thin = await media.prepare_picture(file_of(halves(2000, 1)), max_side=100)
    assert (thin.width, thin.height) == (100, 1)


async def test_what_is_transparent_stays_so_or_becomes_white_when_asked(media: TenantMedia) -> None:
    clear = halves().convert("RGBA")
    clear.paste((0, 0, 0, 0), (0, 0, 40, 40))
    kept = image_of((await media.prepare_picture(file_of(clear))).data)
    assert kept.getpixel((10, 10)) == (0, 0, 0, 0)
    flat = image_of((await media.prepare_picture(file_of(clear), flatten=True)).data)
    assert flat.getpixel((10, 10)) == (255, 255, 255)
    assert near(flat.getpixel((70, 10)), RIGHT)
    jpeg = image_of((await media.prepare_picture(file_of(clear), format="jpeg")).data)
    assert near(jpeg.getpixel((10, 10)), (255, 255, 255))
    opaque = halves().convert("RGBA")
    assert image_of((await media.prepare_picture(file_of(opaque))).data).mode == "RGB"


async def test_palettes_greys_and_cmyk_become_colours(media: TenantMedia) -> None:
    palette = halves().quantize(4)
    palette.info["transparency"] = 0
    for image in (halves().quantize(4), halves().convert("L"), halves().convert("1")):
        assert image_of((await media.prepare_picture(file_of(image))).data).mode == "RGB"
    clear = file_of(palette, "GIF", transparency=0)
    assert image_of((await media.prepare_picture(clear)).data).mode == "RGBA"
    cmyk = await media.prepare_picture(file_of(halves().convert("CMYK"), "JPEG"))
    assert near(image_of(cmyk.data).getpixel((10, 10)), LEFT, 40)


async def test_grey_of_16_bits_is_scaled_not_cut_off(media: TenantMedia) -> None:
    ramp = np.linspace(0, 65535, 256, dtype=np.uint16)[None, :].repeat(4, axis=0)
    made = image_of((await media.prepare_picture(file_of(Image.fromarray(ramp)))).data)
    line = [made.getpixel((x, 0)) for x in (0, 64, 128, 255)]
    assert [pixel[0] for pixel in line if isinstance(pixel, tuple)] == [0, 64, 128, 255]
    floats = Image.fromarray(np.linspace(-1, 1, 256, dtype=np.float32)[None, :])
    made = image_of((await media.prepare_picture(file_of(floats, "TIFF"))).data)
    assert (made.getpixel((0, 0)), made.getpixel((255, 0))) == ((0, 0, 0), (255, 255, 255))


async def test_the_first_picture_of_a_moving_one_is_taken(media: TenantMedia) -> None:
    frames = [Image.new("RGB", (20, 20), color) for color in ("red", "green", "blue")]
    for format in ("GIF", "WEBP", "PNG"):
        data = file_of(frames[0], format, save_all=True, append_images=frames[1:])
        made = image_of((await media.prepare_picture(data)).data)
        assert near(made.getpixel((5, 5)), (254, 0, 0))


@pytest.mark.parametrize("format", ["png", "jpeg"])
async def test_notes_and_profiles_do_not_stay_in_the_file(media: TenantMedia, format: str) -> None:
    exif = Image.Exif()
    exif[0x010E] = "taken at home"
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    notes = PngImagePlugin.PngInfo()
    notes.add_text("secret", "taken at home")
    given = [
        file_of(halves(), "JPEG", exif=exif, comment=b"taken at home", icc_profile=profile),
        file_of(halves(), "PNG", exif=exif, pnginfo=notes, icc_profile=profile),
    ]
    for data in given:
        made = await media.prepare_picture(data, format=format)  # type: ignore[arg-type]
        assert b"taken at home" in data
        assert b"taken at home" not in made.data
        assert "icc_profile" not in image_of(made.data).info


async def test_a_thumbnail_is_a_small_jpeg(media: TenantMedia) -> None:
    made = await media.make_thumbnail(file_of(halves(900, 300)), side=90)
    assert (made.media_type, made.width, made.height) == ("image/jpeg", 90, 30)


async def test_a_mask_is_grey_and_has_the_size_of_its_picture(media: TenantMedia) -> None:
    white = Image.new("L", (20, 20), 0)
    white.paste(255, (0, 0, 10, 20))
    made = await media.prepare_mask(file_of(white), width=40, height=60)
    image = image_of(made.data)
    assert (image.mode, image.size) == ("L", (40, 60))
    assert (image.getpixel((5, 30)), image.getpixel((35, 30))) == (255, 0)


async def test_the_transparent_places_of_a_mask_are_drawn_anew(media: TenantMedia) -> None:
    clear = Image.new("RGBA", (20, 20), (255, 255, 255, 255))
    clear.paste((255, 255, 255, 0), (0, 0, 10, 20))
    image = image_of((await media.prepare_mask(file_of(clear), width=20, height=20)).data)
    assert (image.getpixel((5, 10)), image.getpixel((15, 10))) == (255, 0)


async def test_mask_without_white_is_refused(media: TenantMedia) -> None:
    with pytest.raises(Invalid, match="white in it") as caught:
        await media.prepare_mask(file_of(Image.new("L", (8, 8), 0)), width=8, height=8)
    assert caught.value.code == "empty_mask"


async def test_color_profile_is_applied(media: TenantMedia) -> None:
    file = BytesIO()
    swapped = ImageCms.createProfile("LAB")
    halves().save(file, "JPEG", icc_profile=ImageCms.ImageCmsProfile(swapped).tobytes())
    # A profile that does not fit the picture is passed over.
    assert near(
        image_of((await media.prepare_picture(file.getvalue())).data).getpixel((10, 10)), LEFT
    )


async def test_tenant_with_all_its_calls_is_refused_one_more_while_others_are_served() -> None:
    workers = Media(quota=Quota("max_media_calls_per_tenant", 2, "pictures", retry_after_s=5))
    flood, other = workers.of_tenant("flood"), workers.of_tenant("other")
    picture = file_of(halves())
    try:
        async with asyncio.TaskGroup() as group:
            first = [group.create_task(flood.prepare_picture(picture)) for _ in range(2)]
            await asyncio.sleep(0)

            with pytest.raises(Busy) as caught:
                await flood.prepare_picture(picture)
            served = group.create_task(other.prepare_picture(picture))

        assert caught.value.code == "quota_exceeded"
        assert {task.result().width for task in (*first, served)} == {80}
        assert (await flood.prepare_picture(picture)).width == 80
    finally:
        await workers.close()
